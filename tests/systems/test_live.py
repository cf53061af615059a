"""Frames of a voice that is still speaking: which sound each hears, and how late it is."""

from fractions import Fraction

import numpy as np
import pytest
from spoken import cut, voice

from lumiere_jax.audio.features import WINDOW
from lumiere_jax.audio.frame_times import frame_start, frames_covering
from lumiere_jax.audio.front_ends import log_mel, rows_of
from lumiere_jax.systems.lumierenet import live

FPS = Fraction(30)


@pytest.mark.parametrize("fps", [FPS, Fraction(25), Fraction(30000, 1001), Fraction(5)])
@pytest.mark.parametrize("samples", [1, 533, 534, 704, 8_000, 16_001])
def test_rows_are_those_of_the_whole_narration_with_the_moment_their_window_was_heard(fps, samples):
    sound = voice(samples)
    blocks = cut(sound)
    rows = list(live.rows_as_heard(iter(blocks), fps, lambda _: 0.5, clock=lambda: 1e6))
    whole = rows_of(log_mel(fps), [sound], frames_covering(samples, fps), gain=0.5)
    np.testing.assert_allclose(np.concatenate([row for _, row in rows]), whole, atol=2e-4)
    # The block, which is the time, that holds the last sample of each window.
    ends = np.cumsum([len(block) for _, block in blocks])
    for t, (arrived, _) in enumerate(rows):
        last = frame_start(t, fps) + WINDOW - 1
        holding = next((i for i, end in enumerate(ends) if last < end), None)
        assert arrived == (1e6 if holding is None else blocks[holding][0])


def test_no_frame_waits_for_sound_that_it_does_not_hear():
    taken = []

    def blocks():
        for i in range(100):
            taken.append(i)
            yield float(i), np.zeros(100, np.float32)

    for t, _ in enumerate(live.rows_as_heard(blocks(), FPS, lambda _: 1.0)):
        if t < 15:
            assert 100 * len(taken) < frame_start(t, FPS) + WINDOW + 100


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("delay", [0, 2])
@pytest.mark.parametrize(
    "seconds, expected",
    [
        # Frames of 33 ms of sound: computed in 20, the picture is there 20 ms and a write later.
        (0.020, 0.025),
        # In 60 ms every frame that would be more than 0.1 s late is the last one again.
        (0.060, 0.165),
    ],
)
def test_latency_is_from_the_windows_last_sample_to_the_end_of_writing(delay, seconds, expected):
    clock, timing = Clock(), live.Timing()

    def rows():
        for t in range(90):
            arrived = t / 30
            clock.now = max(clock.now, arrived)
            yield arrived, np.full((1, 40), t, np.float32)

    def paint(windows):
        clock.now += seconds
        heard = windows[0, -1, 0]
        return None, np.full((1, 2, 2, 3), heard, np.uint8)

    shown = []
    for picture in live.pictures(rows(), paint, 15, delay, timing, clock):
        shown.append(int(picture[0, 0, 0]))
        clock.now += 0.005
    assert timing.frames == len(shown) == 90
    own = [min(t + delay, 89) for t in range(90)]
    if seconds < 1 / 30:
        assert not timing.repeated and shown == own
        np.testing.assert_allclose(timing.latencies[: 90 - delay], expected)
    else:
        # Picture and sound stay together: what is shown is never more than some frames old.
        assert 0 < timing.repeated < 60
        assert max(timing.latencies) <= expected + 1e-6
        assert all(0 <= now - then <= 5 for now, then in zip(own, shown, strict=True))
        assert f"{timing.repeated} repeated" in str(timing)
