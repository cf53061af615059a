"""Frames stay in step with the sound, to the sample, for hours."""

from fractions import Fraction

import pytest

from lumiere_jax.audio import features
from lumiere_jax.audio.frame_times import frame_start, frames_covering, frames_within

FPS = Fraction(30)


def test_an_hour_stays_within_one_sample():
    assert frames_within(3600 * 16_000, FPS) == 108_000
    assert frame_start(107_999, FPS) == 57_599_466
    assert 57_599_466 + features.WINDOW - 3600 * 16_000 == 170


def test_ntsc_rate_is_exact():
    fps = Fraction(30_000, 1001)
    assert frame_start(30_000, fps) == 16_000 * 1001


@pytest.mark.parametrize("samples", [1, 533, 534, 1600, 1601, 212_893])
def test_frames_cover_every_sample_and_no_more(samples):
    frames = frames_covering(samples, FPS)
    assert frames / 30 >= samples / 16_000 > (frames - 1) / 30
    assert frames_within(samples, FPS) in (frames, frames - 1)
