"""Framing to the sample, and a loudness that is always the same."""

from fractions import Fraction

import numpy as np
import pytest

from lumiere_jax.audio import features, make_filters
from lumiere_jax.audio.frame_times import frame_start
from lumiere_jax.audio.front_ends import log_mel, rows_of

FPS = Fraction(30)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(16_000 * seconds))).astype(np.float32)


def test_a_frame_hears_its_own_window_only():
    wave = noise(2.0)
    start = frame_start(20, FPS)
    changed = wave.copy()
    changed[start + features.WINDOW :] = 0
    before, after = (rows_of(log_mel(FPS), [sound], 60) for sound in (wave, changed))
    np.testing.assert_array_equal(before[:21], after[:21])
    assert np.abs(before[21] - after[21]).max() > 0.1


def test_a_louder_recording_has_the_same_features():
    wave = noise(2.0)
    loud, quiet = (
        rows_of(log_mel(FPS), [sound], 60, features.loudness_gain([sound]))
        for sound in (wave, wave / 4)
    )
    np.testing.assert_allclose(loud, quiet, atol=1e-3)


def test_pauses_do_not_change_the_loudness():
    wave = noise(2.0)
    paused = np.concatenate([wave, np.zeros(64_000, np.float32)])
    assert features.loudness([paused]) == pytest.approx(features.loudness([wave]), abs=0.01)
    assert features.loudness([wave]) == pytest.approx(-20, abs=0.1)


def test_silence_stays_inside_the_range():
    silence = np.zeros(16_000, np.float32)
    assert features.loudness_gain([silence]) == 1.0
    rows = rows_of(log_mel(FPS), [silence], 30)
    assert np.all(rows == np.float32(np.log(1e-8)))
    normal = features.normalise(rows, np.full(40, -5.0), np.ones(40))
    assert np.all(normal == -4)


def test_the_tables_of_filters_are_librosas():
    made = make_filters.make_filters()
    with np.load(make_filters.FILE) as file:
        assert file.keys() == made.keys()
        for name, table in made.items():
            np.testing.assert_array_equal(file[name], table)
