"""The learned audio encoder: windows to the sample, and convolutions that are products."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from lumiere_jax.audio import encoders
from lumiere_jax.audio.encoders import WINDOW, WaveformEncoder, stream_windows, window_start

RATES = [Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(5), Fraction(120)]
NET = WaveformEncoder(code=8)


def cut(waveform, fps, t):
    """The window of frame t, sample by sample."""
    samples = np.arange(WINDOW) + window_start(t, fps)
    inside = (samples >= 0) & (samples < len(waveform))
    return np.where(inside, waveform[np.clip(samples, 0, len(waveform) - 1)], 0)


def test_windows_at_25_fps_are_the_papers_with_960_samples_before_the_first_frame():
    assert [window_start(t, Fraction(25)) for t in range(3)] == [-960, -320, 320]


@pytest.mark.parametrize("fps", RATES)
def test_hours_of_windows_stay_in_the_middle_of_their_frames(fps):
    for t in (0, 1, 100_003, 1_000_000):
        middle = (Fraction(2 * t + 1, 2) / fps) * 16_000
        assert 0 <= middle - (window_start(t, fps) + WINDOW // 2) < 1


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 5_000), max_size=8), st.sampled_from(RATES), st.integers(1, 12))
def test_cutting_the_sound_elsewhere_changes_no_window(lengths, fps, frames):
    waveform = np.random.default_rng(0).normal(size=sum(lengths)).astype(np.float32)
    pieces = np.split(waveform, np.cumsum(lengths)[:-1]) if lengths else []
    windows = list(stream_windows(iter(pieces), fps, frames, gain=2.0))
    assert len(windows) == frames
    padded = np.append(waveform, np.float32(0))
    for t, window in enumerate(windows):
        np.testing.assert_array_equal(window, 2 * cut(padded, fps, t))


def test_memory_does_not_grow_with_the_sound():
    def endless():
        while True:
            yield np.ones(16_000, np.float32)

    held = [len(w.base) for w in stream_windows(endless(), Fraction(25), 2_000)]
    assert max(held) <= WINDOW + 16_000 + 960


@pytest.fixture(scope="module")
def variables():
    x = jnp.zeros((2, WINDOW))
    variables = jax.jit(NET.init, static_argnames="train")(jax.random.key(0), x, train=False)
    # Kernels of N(0, 0.02) let almost nothing through; compare numbers that are large enough.
    return jax.tree.map(lambda x: x * 3 if x.ndim == 2 else x, variables)


def test_it_equals_seven_convolutions(variables):
    x = jax.random.normal(jax.random.key(1), (2, WINDOW))
    y, params = x[..., None], variables["params"]
    geometry = [(80, 16, 32), *[(4, 2, 1)] * 5, (5, 1, 0)]
    lengths = []
    for i, (kernel, stride, padding) in enumerate(geometry):
        weights = params[f"conv{i}"]["kernel"].reshape(kernel, y.shape[-1], -1)
        y = lax.conv_general_dilated(
            y, weights, (stride,), [(padding, padding)], dimension_numbers=("NWC", "WIO", "NWC")
        )
        lengths.append(y.shape[1])
        if i < 6:
            norm = params[f"conv{i}_norm"]
            scale = (norm["scale"] / jnp.sqrt(1 + 1e-5))[None, None]
            y = jax.nn.relu(y * scale + norm["bias"][None, None])
    assert lengths == [160, 80, 40, 20, 10, 5, 1]
    expected = jnp.tanh(y[:, 0] + params["conv6"]["bias"][None])
    assert float(jnp.abs(expected).max()) > 1e-3
    np.testing.assert_allclose(NET.apply(variables, x, train=False), expected, atol=1e-5)


def test_parameter_count():
    x = jax.ShapeDtypeStruct((1, WINDOW), jnp.float32)
    net = lambda key, x: WaveformEncoder().init(key, x, train=False)  # noqa: E731
    params = jax.eval_shape(net, jax.random.key(0), x)["params"]
    convolutions = 80 * 16 + 4 * (16 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    norms = 2 * sum(encoders.CHANNELS)
    count = convolutions + norms + 5 * 512 * 256 + 256
    assert sum(x.size for x in jax.tree.leaves(params)) == count


def test_windows_that_are_not_seen_change_no_statistics(variables):
    x = jax.random.normal(jax.random.key(1), (4, WINDOW))
    seen = jnp.array([True, False, True, True])
    other = x.at[1].set(9.0)

    def run(x, seen):
        return NET.apply(variables, x, train=True, seen=seen, mutable=["batch_stats"])

    (a, first), (b, second), (_, third) = run(x, seen), run(other, seen), run(other, None)
    same = jax.tree.map(jnp.array_equal, first, second)
    assert all(jax.tree.leaves(same))
    np.testing.assert_array_equal(a[seen], b[seen])
    assert not all(jax.tree.leaves(jax.tree.map(jnp.allclose, first, third)))


def test_training_reaches_every_parameter(variables):
    x = jax.random.normal(jax.random.key(1), (3, WINDOW))

    def loss(params):
        a, _ = NET.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
        return jnp.sum(a**2)

    gradients = jax.jit(jax.grad(loss))(variables["params"])
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(gradients))
