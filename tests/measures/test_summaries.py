"""Summaries of measures over frames and segments."""

import numpy as np
import pytest

from lumiere_jax.measures import summaries
from lumiere_jax.systems.lumierenet.measures import EVALUATION


def part(frames, **values):
    pictures = {
        f"{stage}.{name}": np.full(frames, 1.0)
        for stage in ("vae", "seqpix2pix", "video")
        for name in ("mse", "psnr", "ssim")
    }
    basic = {"blstm.mse": np.ones(frames), "z": np.zeros((frames, 2))}
    return {**pictures, **basic, **values}


def drawn_part(frames, late=0, sign=1.0, seed=0):
    generator = np.random.default_rng(seed)
    signal = np.convolve(generator.normal(size=frames + 20), np.ones(4), "same")
    true, video = signal[10 : frames + 10], signal[10 - late : frames + 10 - late]
    wrists = generator.uniform(0.4, 0.6, (frames, 2, 2))
    return {
        **part(frames),
        "aperture.true": true,
        "aperture.real": 2 * true + 1,
        "aperture.video": sign * video,
        "aperture.shuffled": generator.normal(size=frames),
        "wrists.real": wrists,
        "wrists.video": 0.5 * wrists,
    }


def apertures(parts, name="video"):
    return [(part[f"aperture.{name}"], part["aperture.true"]) for part in parts]


def test_summary_is_the_mean_over_frames_and_finite_for_equal_pictures():
    long = part(30, **{"vae.psnr": np.full(30, 20.0)})
    short = part(10, **{"vae.psnr": np.full(10, np.inf)})
    assert summaries.summarise([long, short], ["vae"])["vae"]["psnr"] == pytest.approx(40.0)


def test_known_answer_finds_correlation_lag_and_liveliness():
    parts = [drawn_part(300, late=2)]
    assert summaries.mouth_motion(apertures(parts))["mouth_lag_frames"] == 2
    found = summaries.summarise(parts, ["video"])["video"] | EVALUATION.summarise(parts)["video"]
    assert found["mouth_correlation_real_frames"] == pytest.approx(1)
    assert abs(found["mouth_correlation_shuffled_audio"]) < 0.3
    assert found["gesture_ratio"] == pytest.approx(0.25)
    assert found["mouth_movement"] == pytest.approx(0.5, rel=0.05)  # real ones are 2 · true + 1


def test_the_mouth_of_a_still_does_not_move_whatever_its_correlation():
    true = drawn_part(300)["aperture.true"]
    seen = np.where(np.arange(300) < 200, true, np.nan)
    assert summaries.mouth_movement([(0.1 * seen, true), (0.1 * true + 3, true)]) < 0.11
    assert summaries.mouth_movement([(np.full(300, 0.2), true)]) == pytest.approx(0)
    assert summaries.mouth_movement([(true, np.full(300, 0.2))]) is None
    assert summaries.mouth_movement([(np.full(300, np.nan), true)]) is None


def test_known_answer_weighs_segments_by_frames_and_leaves_out_the_shortest():
    parts = [drawn_part(300), drawn_part(100, sign=-1.0, seed=1), drawn_part(5, seed=2)]
    assert summaries.mouth_motion(apertures(parts)) == {
        "mouth_correlation": pytest.approx(0.5),
        "mouth_lag_frames": 0,
    }
    short = parts[2:]
    found = summaries.summarise(short, ["video"])["video"] | EVALUATION.summarise(short)["video"]
    assert {name for name, value in found.items() if value is None} == {
        "mouth_correlation",
        "mouth_lag_frames",
        "mouth_correlation_real_frames",
        "mouth_correlation_shuffled_audio",
        "gesture_ratio",
    }


def test_a_mouth_that_is_found_in_half_of_the_frames_is_judged_by_them_and_in_fewer_not():
    true = drawn_part(300)["aperture.true"]
    seen = np.arange(300) < 150
    made = np.where(seen, 2 * true, np.nan)
    assert summaries.mouth_motion([(made, true)]) == {
        "mouth_correlation": pytest.approx(1),
        "mouth_lag_frames": 0,
    }
    made[0] = np.nan
    assert set(summaries.mouth_motion([(made, true)]).values()) == {None}
    distances = {"mouth_landmark_distance": np.where(seen, 3.0, np.nan)}
    assert summaries.averages(distances) == {"mouth_landmark_distance": 3.0, "face_found": 0.5}
    distances["mouth_landmark_distance"][0] = np.nan
    assert summaries.averages(distances)["mouth_landmark_distance"] is None


def test_frames_without_a_measure_are_left_out_and_without_any_it_is_none():
    values = {"hands_psnr": np.array([np.nan, 20, 30]), "face_psnr": np.full(3, np.nan)}
    assert summaries.averages(values) == {"hands_psnr": 25.0, "face_psnr": None}


def test_always_saying_the_mean_code_misses_all_of_the_variance():
    z = np.random.default_rng(0).normal(3, [1, 5], (50, 2))
    error = ((z - z.mean(0)) ** 2).mean(1)
    more = EVALUATION.summarise([part(50, z=z, **{"blstm.mse": error})])
    assert more == {"blstm": {"share_of_variance": pytest.approx(1.0)}}
