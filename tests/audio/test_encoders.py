"""The learned audio encoder: convolutions that are products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from lumiere_jax.audio import encoders
from lumiere_jax.audio.encoders import WINDOW, WaveformEncoder

NET = WaveformEncoder(code=8)


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
