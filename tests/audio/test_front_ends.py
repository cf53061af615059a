"""The law of front ends: sound in pieces gives the rows of the whole, to the bit."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumiere_jax.audio import front_ends
from lumiere_jax.audio.encoders import WINDOW
from lumiere_jax.audio.frame_times import RATE, frame_start
from lumiere_jax.audio.front_ends import FrontEnd, rows_of, stream

RATES = [Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(5), Fraction(120)]


def energies(rate, **more):
    """Mean power and mean of the samples around each row; at low rates there are long gaps."""

    def apply(samples, starts):
        cut = samples[starts[:, None] + np.arange(130)]
        return np.stack([(cut**2).mean(1), cut.mean(1)], 1)

    return FrontEnd(
        name="energies", rate=rate, before=100, after=30, shape=(2,), apply=apply, **more
    )


def one_block(rate):
    return energies(rate, block=16)


def late(rate):
    return energies(rate, block=3, centred=True)


EVERY = [front_ends.log_mel, front_ends.waveform, energies, one_block, late]


def by_hand(front_end, sound, row, gain=1.0):
    """A row from its own samples, which are silent outside of the sound."""
    samples = np.arange(-front_end.before, front_end.after) + front_end.start(row)
    inside = (samples >= 0) & (samples < len(sound))
    own = np.where(inside, np.append(sound, 0)[np.clip(samples, 0, len(sound))], 0)
    own = own.astype(np.float32) * np.float32(gain)
    return np.asarray(front_end.apply(own, np.zeros(1, int)))[0]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(0, 5_000), max_size=8),
    st.sampled_from(RATES),
    st.integers(0, 40),
    st.sampled_from(EVERY),
)
def test_cutting_the_sound_elsewhere_changes_no_row(lengths, rate, rows, make):
    sound = np.random.default_rng(0).normal(size=sum(lengths)).astype(np.float32)
    pieces = np.split(sound, np.cumsum(lengths)[:-1]) if lengths else []
    front_end = make(rate)
    whole = rows_of(front_end, [sound], rows, gain=2.0)
    assert whole.shape == (rows, *front_end.shape) and whole.dtype == np.float32
    np.testing.assert_array_equal(rows_of(front_end, iter(pieces), rows, gain=2.0), whole)


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize("rate", RATES)
def test_rows_hear_their_own_samples_and_silence_around_the_sound(make, rate):
    sound = np.random.default_rng(0).normal(size=9_000).astype(np.float32)
    front_end = make(rate)
    rows = rows_of(
        front_end, np.array_split(sound, 7), count := front_end.rows(len(sound)) + 2, 0.5
    )
    for row in {*range(min(count, 5)), *range(max(count - 5, 0), count)}:
        expected = by_hand(front_end, sound, row, 0.5)
        np.testing.assert_allclose(rows[row], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("samples", [0, 1, 533, 534, 1600, 16_000, 212_893])
def test_rows_cover_every_sample_and_no_more(rate, samples):
    front_end = front_ends.log_mel(rate)
    rows = front_end.rows(samples)
    assert frame_start(rows, rate) >= samples
    assert not rows or RATE * (rows - 1) < samples * rate


@pytest.mark.parametrize("rate", RATES)
def test_a_frames_rows_are_as_many_as_its_frames_at_the_rate_of_frames(rate):
    for frames in (1, 2, 75, 1000, 12_345):
        assert front_ends.waveform(rate).rows(frame_start(frames, rate)) == frames


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("rate", RATES)
def test_a_frames_row_is_the_one_at_its_middle(rate, fps):
    front_end = energies(rate)
    for frame in (0, 1, 1000, 108_000):
        middle, row = (frame + Fraction(1, 2)) / fps, front_end.row_at(frame, fps)
        assert row / rate <= middle < (row + 1) / rate


@pytest.mark.parametrize("make", EVERY)
def test_memory_does_not_grow_with_the_sound(make):
    held = 0

    def endless():
        while True:
            yield np.ones(16_000, np.float32)

    front_end = make(Fraction(25))

    def apply(samples, starts):
        nonlocal held
        whole = samples
        while whole.base is not None:
            whole = whole.base
        held = max(held, len(whole))
        return np.zeros((len(starts), 1), np.float32)

    counting = FrontEnd(
        name="counting",
        rate=front_end.rate,
        before=front_end.before,
        after=front_end.after,
        shape=(1,),
        apply=apply,
        block=front_end.block,
    )
    assert sum(map(len, stream(counting, endless(), 2_000))) == 2_000
    assert held <= 16_000 + front_end.block * 640 + 2 + front_end.before + front_end.after


def test_windows_at_25_fps_are_the_papers_with_960_samples_before_the_first_frame():
    front_end = front_ends.waveform(Fraction(25))
    first = [front_end.start(t) - front_end.before for t in range(3)]
    assert first == [-960, -320, 320]


@pytest.mark.parametrize("rate", RATES)
def test_hours_of_windows_stay_in_the_middle_of_their_frames(rate):
    front_end = front_ends.waveform(rate)
    assert front_end.before + front_end.after == WINDOW
    for t in (0, 1, 100_003, 1_000_000):
        middle = (Fraction(2 * t + 1, 2) / rate) * 16_000
        assert 0 <= middle - front_end.start(t) < 1
