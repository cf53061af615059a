"""The drawn lecturer: what is random and what is not, and whether its known answers are true."""

from fractions import Fraction
from itertools import islice

import av
import cv2
import numpy as np
import pytest

from lumiere_jax.audio.features import WINDOW
from lumiere_jax.audio.frame_times import frame_start, frames_covering
from lumiere_jax.drawn import lecturer, motion, person
from lumiere_jax.drawn.body import BAND
from lumiere_jax.errors import UserError
from lumiere_jax.figures.dense import MOUTH
from lumiere_jax.measures import drawn_lecturer as measures
from lumiere_jax.measures.metrics import peak_lag, pearson

FPS = Fraction(30)
SIZE = 128


def read(name: str) -> np.ndarray:
    resampler = av.AudioResampler("fltp", "mono", 16000)
    with av.open(str(lecturer.narration(name))) as file:
        frames = [r for f in file.decode(audio=0) for r in resampler.resample(f)]
    return np.concatenate([f.to_ndarray()[0] for f in frames])


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return read("first")


@pytest.fixture(scope="module")
def short(speech) -> np.ndarray:
    """Three seconds with vowels, hissing and a pause."""
    return speech[16000 * 41 : 16000 * 44]


def draw(waveform, seed=0, size=SIZE, take=0):
    return list(lecturer.draw_lecture(waveform, FPS, size, seed, take))


@pytest.fixture(scope="module")
def lectures(short):
    """Of a light and of a dark person."""
    return {seed: draw(short, seed) for seed in (0, 1)}


def frames_of(lecture):
    return np.stack([drawn.frame for drawn in lecture])


def apertures(lecture):
    return np.array([drawn.aperture for drawn in lecture])


def bands(keypoints):
    """The middles of the left and the right wrist band."""
    elbows, wrists = keypoints[[6, 3], :2], keypoints[[7, 4], :2]
    return elbows + np.mean(BAND) * (wrists - elbows)


def wrists(lecture):
    return np.stack([bands(drawn.keypoints) for drawn in lecture])


def blurred(frames):
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 1.0) for frame in frames])


def compressed(frames):
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
    return np.stack([cv2.imdecode(cv2.imencode(".jpg", f, quality)[1], 1) for f in frames])


def test_narrations_are_speech_of_the_promised_length(speech):
    second = read("second")
    assert 70 < len(speech) / 16000 < 90 and 20 < len(second) / 16000 < 30
    both = [lecturer.narration(name) for name in ("first", "second")]
    assert sum(path.stat().st_size for path in both) < 2_000_000
    with pytest.raises(UserError, match="third"):
        lecturer.narration("third")


def test_every_sample_has_a_frame(short):
    fps = Fraction(30000, 1001)
    odd = short[:8001]
    assert len(list(lecturer.draw_lecture(odd, fps, 64, 0))) == frames_covering(8001, fps) == 15


def test_deterministic_and_seeds_are_other_people(short):
    piece = short[:8000]
    first, again, other = draw(piece, 5), draw(piece, 5), draw(piece, 6)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.frame, b.frame)
        np.testing.assert_array_equal(a.figure, b.figure)
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
    difference = np.abs(frames_of(first).astype(float) - frames_of(other)).mean()
    assert difference > 15


def test_a_take_moves_otherwise_but_speaks_alike(speech):
    one, two = (motion.move(speech, FPS, 0, take, None) for take in (0, 1))
    np.testing.assert_array_equal(one.aperture, two.aperture)
    np.testing.assert_array_equal(one.width, two.width)
    assert np.abs(one.wrists - two.wrists).mean() > 0.005
    assert not np.array_equal(one.lids, two.lids)
    for hand in range(2):
        a, b = (measures.wrist_speeds(m.wrists)[:, hand] for m in (one, two))
        assert 0.7 < pearson(a, b) < 0.95  # most of a gesture is the speech's, not chance


def test_gestures_are_wide_and_smooth(speech):
    moves = motion.move(speech, FPS, 0, 0, None)
    travel = np.percentile(moves.wrists[..., 1], 98, axis=0) - np.percentile(
        moves.wrists[..., 1], 2, axis=0
    )
    assert (travel > 0.13).all() and (travel < 0.27).all()
    speed = np.linalg.norm(np.diff(moves.wrists, axis=0), axis=-1) * 30
    assert speed.max() < 1.6  # pictures a second
    jerk = (
        np.abs(np.diff(moves.wrists, 2, axis=0)).mean()
        / np.abs(np.diff(moves.wrists, axis=0)).mean()
    )
    assert jerk < 0.6


@pytest.mark.parametrize("cut", [40, 60])
def test_no_frame_knows_later_sound(short, cut):
    changed = short.copy()
    end = frame_start(cut, FPS) + WINDOW
    changed[end:] = np.random.default_rng(0).normal(0, 0.3, len(short) - end)
    one, two = (motion.move(w, FPS, 0, 0, 0.7) for w in (short, changed))
    for name in ("aperture", "width", "wrists", "spread", "lift", "head", "brows", "gaze"):
        np.testing.assert_array_equal(getattr(one, name)[: cut + 1], getattr(two, name)[: cut + 1])
    assert not np.allclose(one.aperture[cut + 1 :], two.aperture[cut + 1 :], atol=1e-3)


def test_the_mouth_forgets_in_150_ms_and_the_hands_in_500(short):
    changed, cut = short.copy(), 60
    changed[: frame_start(cut, FPS)] = 0
    one, two = (motion.move(w, FPS, 0, 0, 0.7) for w in (short, changed))
    assert not np.allclose(one.aperture[:cut], two.aperture[:cut])
    mouth, hands = cut + 5, cut + 15
    np.testing.assert_allclose(one.aperture[mouth:], two.aperture[mouth:], atol=1e-9)
    np.testing.assert_allclose(one.width[mouth:], two.width[mouth:], atol=1e-9)
    np.testing.assert_allclose(one.wrists[hands:], two.wrists[hands:], atol=1e-9)


def test_silence_is_a_closed_mouth_and_resting_hands():
    moves = motion.move(np.zeros(16000, np.float32), FPS, 0, 0, None)
    assert moves.aperture.max() < 1e-3
    assert np.abs(moves.wrists).max() < 0.05


@pytest.mark.parametrize("seed", [0, 1])
def test_the_mouth_is_measured_in_the_pictures(lectures, seed):
    frames, true = frames_of(lectures[seed]), apertures(lectures[seed])
    for pictures in (frames, blurred(frames), compressed(frames)):
        assert pearson(measures.measure_aperture(pictures), true) > 0.95
        assert peak_lag(measures.measure_aperture(pictures), true, 10)[0] == 0


@pytest.mark.parametrize("size", [64, 256])
def test_the_mouth_is_measured_at_other_sizes(short, size):
    lecture = draw(short[16000:], 0, size)
    measured = measures.measure_aperture(frames_of(lecture))
    assert pearson(measured, apertures(lecture)) > 0.95


def test_other_speech_does_not_correlate(speech, lectures):
    measured = measures.measure_aperture(frames_of(lectures[0]))
    other = motion.move(speech, FPS, 0, 0, None).aperture
    starts = range(0, 1000, 37)
    found = [pearson(measured, other[s : s + len(measured)]) for s in starts]
    assert abs(np.mean(found)) < 0.2


@pytest.mark.parametrize("seed", [0, 1])
def test_the_wrists_are_found(lectures, seed):
    frames, true = frames_of(lectures[seed]), wrists(lectures[seed])
    for pictures in (frames, blurred(frames), compressed(frames)):
        found = measures.measure_wrists(pictures)
        assert np.isfinite(found).mean() > 0.98
        assert np.nanmean(np.linalg.norm(found - true, axis=-1)) * SIZE < 1
        assert 0.9 < measures.gesture_ratio(found, true) < 1.1


def test_measures_work_in_pieces_and_see_frozen_or_absent_hands(lectures):
    frames, true = frames_of(lectures[0])[:20], wrists(lectures[0])[:20]
    pieces = [measures.measure_aperture(frames[a:b]) for a, b in ((0, 7), (7, 20))]
    np.testing.assert_allclose(np.concatenate(pieces), measures.measure_aperture(frames))
    frozen = measures.measure_wrists(np.repeat(frames[:1], 20, 0))
    assert measures.gesture_ratio(frozen, true) < 1e-6
    grey = np.full_like(frames, 120)
    assert np.isnan(measures.measure_wrists(grey)).all()
    assert measures.gesture_ratio(measures.measure_wrists(grey), true) == 0


@pytest.mark.parametrize("seed", range(6))
def test_nothing_else_has_the_colours_of_the_bands(seed):
    drawn = draw(np.zeros(600, np.float32), seed)[0]
    frame = drawn.frame.astype(int)
    y, x = (np.mgrid[0:SIZE, 0:SIZE] + 0.5) / SIZE
    for band in bands(drawn.keypoints):
        frame[(x - band[0]) ** 2 + (y - band[1]) ** 2 < 0.08**2] = 0
    red, green, blue = frame[..., 0], frame[..., 1], frame[..., 2]
    assert (green - np.maximum(red, blue)).max() < 20
    assert (np.minimum(red, blue) - green).max() < 20


@pytest.mark.parametrize("seed", [0, 1])
def test_keypoints_lie_on_what_is_drawn(lectures, seed):
    skin = np.array(person.cast(seed).skin_tone, float)
    for drawn in lectures[seed][::30]:
        points = drawn.keypoints
        present = points[:, 2] > 0
        assert not present[[8, 9, 10, 11, 12, 13, 14, *range(19, 25)]].any()
        assert present[[*range(8), *range(15, 19)]].all() and present[25:].all()
        assert (points[present, :2] > 0).all() and (points[present, :2] < 1).all()
        # Cheeks beside the nose and the hands' knuckles are skin.
        cheeks = [(points[25 + a, :2] + points[25 + 33, :2]) / 2 for a in (3, 13)]
        for place in [*cheeks, points[95 + 9, :2], points[116 + 9, :2]]:
            column, row = (place * SIZE).astype(int)
            pixel = drawn.frame[row, column].astype(float)
            cosine = pixel @ skin / np.linalg.norm(pixel) / np.linalg.norm(skin)
            assert cosine > 0.97, (place, pixel)


def test_the_figure_opens_its_mouth(lectures):
    lecture = lectures[0]
    rows, cols = (
        slice(int(0.38 * SIZE), int(0.49 * SIZE)),
        slice(int(0.42 * SIZE), int(0.58 * SIZE)),
    )
    figures = np.stack([drawn.figure[rows, cols] for drawn in lecture]).astype(int)
    hole = (np.abs(figures - MOUTH).sum(-1) < 90).sum((1, 2))
    assert pearson(np.array(hole, float), apertures(lecture)) > 0.9
    inner = np.stack([drawn.keypoints[25 + 60 : 25 + 68, :2] for drawn in lecture])
    gap = np.linalg.norm(inner[:, 6] - inner[:, 2], axis=-1)
    np.testing.assert_allclose(gap, apertures(lecture), rtol=0.035, atol=1e-6)


def test_frames_are_steady(short):
    """The first frame does not depend on how much speech follows it."""
    one = next(islice(lecturer.draw_lecture(short, FPS, 64, 2, gain=0.7), 1))
    two = next(islice(lecturer.draw_lecture(short[:16000], FPS, 64, 2, gain=0.7), 1))
    np.testing.assert_array_equal(one.keypoints[:, 2], two.keypoints[:, 2])
    np.testing.assert_array_equal(one.frame, two.frame)
