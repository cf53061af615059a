"""The mark in the pixels: it cannot be seen, it is found again, and nowhere else."""

import io
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from lumiere_jax.drawn.lecturer import draw_lecture
from lumiere_jax.measures.metrics import psnr
from lumiere_jax.outputs import mark as module
from lumiere_jax.outputs.label import draw_label
from lumiere_jax.outputs.mark import ENOUGH, luminance, mark, strength

CLEAR = 2.0
"""Unmarked pictures stay under it: fewer than one of a hundred may come near."""


def lecture(size, count=24, seed=0):
    sound = np.sin(np.arange(16000) / 20).astype(np.float32) * np.linspace(0, 0.3, 16000)
    drawn = draw_lecture(sound.astype(np.float32), Fraction(30), size, seed)
    return [next(drawn).frame for _ in range(count)]


@pytest.fixture(scope="module")
def plain():
    return {size: lecture(size) for size in (128, 256)}


@pytest.fixture(scope="module")
def marked(plain):
    return {size: list(map(draw_label, mark(pictures))) for size, pictures in plain.items()}


def strength_of(pictures):
    return strength(map(luminance, pictures))


def recoded(pictures, crf):
    """What is left of pictures after x264."""
    data = io.BytesIO()
    rows, cols, _ = pictures[0].shape
    with av.open(data, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = cols, rows, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    data.seek(0)
    with av.open(data) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def contents(size):
    """Pictures that are hard to hide something in, or to find nothing in."""
    random = np.random.default_rng(size)
    ramp = np.linspace(0, 255, size)
    page = np.full((size, size, 3), 250, np.uint8)
    for row in range(8, size, 14):
        cv2.putText(page, "x = sum(a*b) + c0", (4, row), cv2.FONT_HERSHEY_PLAIN, 0.7, (20, 20, 20))
    waves = 127 + 90 * np.sin(np.arange(size) * 2 * np.pi * 19 / size)
    return {
        "black": np.zeros((size, size, 3)),
        "grey": np.full((size, size, 3), 128),
        "white": np.full((size, size, 3), 255),
        "noise": random.integers(0, 256, (size, size, 3)),
        "gradient": np.broadcast_to(ramp[:, None, None], (size, size, 3)),
        "page": page,
        "stripes": np.broadcast_to(waves[None, :, None], (size, size, 3)),
        "checks": np.indices((size, size)).sum(0)[..., None].repeat(3, 2) // 4 % 2 * 255,
    }


@pytest.mark.parametrize("size", [64, 128, 256, 512])
def test_marked_against_unmarked_is_at_least_42_db(size):
    for name, picture in contents(size).items():
        picture = picture.astype(np.uint8)
        given = picture.copy()
        (made,) = mark([picture])
        np.testing.assert_array_equal(picture, given)
        assert made.dtype == np.uint8 and made.shape == picture.shape
        assert np.array_equal(made, given) is False, name
        change = made.astype(float) - given
        assert np.mean(change**2) < 1.7 and np.abs(change).max() <= 16, name
        assert 10 * np.log10(255**2 / np.mean(change**2)) > 42, name


def test_psnr_against_real_frames_drops_by_under_a_tenth_db(plain):
    """For synthesised frames as good as 29 dB, better than any that were made so far."""
    for pictures in plain.values():
        real = np.stack(pictures).astype(np.float32)
        error = np.random.default_rng(0).normal(0, 255 * 10 ** (-29 / 20), real.shape)
        made = np.clip(real + error, 0, 255).astype(np.uint8)
        with_mark = np.stack(list(mark(made)))
        before, after = (
            float(np.mean(psnr(x.astype(np.float32), real))) for x in (made, with_mark)
        )
        assert 28.5 < before < 29.6 and before - after < 0.1


def test_the_mark_is_the_same_in_every_picture_of_a_video(plain):
    changes = [
        made.astype(int) - given for made, given in zip(mark(plain[128]), plain[128], strict=True)
    ]
    for change in changes:
        inside = (plain[128][0] > 16).all(-1) & (plain[128][0] < 239).all(-1)
        inside &= np.all([(p > 16).all(-1) & (p < 239).all(-1) for p in plain[128]], 0)
        np.testing.assert_array_equal(change[inside], changes[0][inside])
    assert list(mark([])) == []


def test_the_pattern_is_that_of_all_earlier_videos():
    """With another one their marks are not found any more."""
    expected = [
        [-7.48, 4.91, -11.69, -10.47],
        [-10.82, 4.21, 27.1, 0.64],
        [3.95, -5.48, 6.13, -0.39],
        [-28.03, -9.49, 10.96, 7.93],
    ]
    np.testing.assert_allclose(module._pattern(64, 64)[::16, ::16], expected, atol=1e-2)


@pytest.mark.parametrize("size, crf", [(128, 18), (128, 28), (256, 32)])
def test_it_outlasts_reencoding(marked, size, crf):
    assert strength_of(recoded(marked[size], crf)) > ENOUGH


def test_it_outlasts_reencoding_at_half_the_size(marked):
    half = [cv2.resize(p, (128, 128), interpolation=cv2.INTER_AREA) for p in marked[256]]
    assert strength_of(recoded(half, 23)) > ENOUGH


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p[: int(0.9 * len(p))],
        lambda p: p[int(0.06 * len(p)) :, : int(0.88 * len(p))],
        lambda p: cv2.resize(p[: int(0.9 * len(p))], None, fx=0.61, fy=0.61),
        lambda p: cv2.resize(p, None, fx=2.3, fy=2.3, interpolation=cv2.INTER_CUBIC),
        lambda p: np.clip(1.2 * p.astype(float) - 30, 0, 255).astype(np.uint8),
        lambda p: np.pad(p, ((0, 0), (len(p) * 7 // 18,) * 2, (0, 0))),
        lambda p: p[..., ::-1],
    ],
    ids="label's rows cut, two sides cut, cut and reduced, enlarged, contrast, in 16:9, BGR".split(
        ", "
    ),
)
@pytest.mark.parametrize("size", [128, 256])
def test_it_is_found_after(marked, size, change):
    changed = [np.ascontiguousarray(change(picture)) for picture in marked[size][::4]]
    assert strength_of(changed) > ENOUGH


def test_marking_twice_does_not_hurt(plain, marked):
    again = list(mark(marked[128]))
    assert strength_of(again) > ENOUGH
    assert strength_of(recoded(again, 23)) > ENOUGH


def test_a_picture_beside_the_truth_carries_it(plain):
    pairs = [np.concatenate([p, p[:, ::-1]], 1) for p in plain[128]]
    assert strength_of(recoded(list(mark(pairs)), 23)) > ENOUGH


@pytest.mark.parametrize("size", [64, 128, 256])
def test_nothing_is_found_where_nothing_is(size):
    for name, picture in contents(size).items():
        assert strength_of([picture.astype(np.uint8)]) < CLEAR, name
        assert strength_of(recoded([picture.astype(np.uint8)] * 3, 30)) < CLEAR, name


def test_unmarked_lectures_are_not_found(plain):
    for pictures in plain.values():
        assert strength_of(pictures) < CLEAR
        assert strength_of(recoded(pictures, 28)) < CLEAR


def test_unmarked_real_footage_is_not_found(shared):
    from lumiere_jax.commands.verify import find_mark

    for path in (*(shared / "footage").glob("*.mpg"), shared / "footage" / "portrait.mp4"):
        assert find_mark(path) < CLEAR, path.name


def test_chance_gives_a_strength_as_rarely_as_it_says():
    """Strength s comes to fewer than one of 10^s pictures of noise."""
    random = np.random.default_rng(0)
    found = np.array(
        [strength([random.standard_normal((80, 96)).astype(np.float32)]) for _ in range(20)]
    )
    assert found.max() < CLEAR and np.mean(found > 0.5) < 0.3


def test_pictures_of_any_shape_and_none_at_all():
    assert strength([]) == 0
    for shape in ((1, 1), (2, 300), (96, 96), (31, 17)):
        assert strength([np.zeros(shape, np.float32)]) < CLEAR
    for shape in ((2, 2, 3), (16, 4, 3), (30, 60, 3)):
        (made,) = mark([np.full(shape, 90, np.uint8)])
        assert made.shape == shape
    # A video whose size changes keeps the first's.
    grey = np.zeros((32, 32), np.float32)
    assert strength([grey, np.zeros((64, 64), np.float32)]) < CLEAR
