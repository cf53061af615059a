"""The U-Net: known sizes, reach, and independence of a frame from its batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lumiere_jax.frames.generators import UNet, stack_frames

NET = UNet(size=32, width=8)


@pytest.fixture(scope="module")
def variables():
    return jax.jit(NET.init, static_argnames="train")(
        jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False
    )


@pytest.fixture
def x():
    return jax.random.uniform(jax.random.key(1), (4, 32, 32, 3), minval=-1)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("channels, parameters", [(3, 54_413_955), (6, 54_417_027)])
def test_parameter_count(channels, parameters):
    shape = jax.ShapeDtypeStruct((1, 256, 256, channels), jnp.float32)
    variables = jax.eval_shape(
        lambda key, x: UNet(256).init(key, x, train=False), jax.random.key(0), shape
    )
    assert count(variables["params"]) == parameters


@pytest.mark.parametrize("size", [32, 64, 512, 1024])
def test_every_size_comes_back_at_its_own_size(size):
    net = UNet(size, width=4)
    x = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    y, variables = jax.eval_shape(
        lambda x: net.init_with_output(jax.random.key(0), x, train=False), x
    )
    assert y.shape == x.shape
    assert len([name for name in variables["params"] if name.endswith("norm")]) == (
        2 * (size.bit_length() - 1) - 3
    )


def test_a_size_that_is_no_power_of_two_is_refused():
    with pytest.raises(ValueError, match="96"):
        UNet(96).init(jax.random.key(0), jnp.zeros((1, 96, 96, 3)), train=False)


def test_synthesis_does_not_depend_on_the_batch(variables, x):
    apply = jax.jit(NET.apply, static_argnames="train")
    whole = apply(variables, x, train=False)
    alone = jnp.concatenate([apply(variables, x[i : i + 1], train=False) for i in range(4)])
    np.testing.assert_allclose(whole, alone, atol=1e-6)
    assert float(jnp.abs(whole).max()) <= 1


def test_training_reaches_everything_with_batch_statistics_and_dropout(variables, x):
    @jax.jit
    def step(params, x, key):
        def loss(params, x):
            y, updates = NET.apply(
                {**variables, "params": params},
                x,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            return jnp.sum(y[0] ** 2), (y, updates["batch_stats"])

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(params, x)

    (params, pixels), (y, averages) = step(variables["params"], x, jax.random.key(0))
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(params))
    assert float((jnp.abs(pixels[0]) > 0).mean()) > 0.9
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), variables["batch_stats"], averages)
    assert all(jax.tree.leaves(changed))
    np.testing.assert_array_equal(step(variables["params"], x, jax.random.key(0))[1][0], y)
    other = step(variables["params"], x, jax.random.key(1))[1][0]
    assert float(jnp.abs(other - y).max()) > 1e-4


def test_bf16_stays_close_and_returns_float32(variables, x):
    full = jax.jit(NET.apply, static_argnames="train")(variables, x, train=False)
    net = UNet(size=32, width=8, dtype=jnp.bfloat16)
    half = jax.jit(net.apply, static_argnames="train")(variables, x, train=False)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, full, atol=0.02)
    assert float(jnp.abs(full).std()) > 1e-3


def test_stacked_frames_keep_their_order():
    frames = jnp.arange(2 * 2 * 4 * 4 * 3, dtype=jnp.float32).reshape(2, 2, 4, 4, 3)
    stacked = stack_frames(frames)
    np.testing.assert_array_equal(stacked[..., :3], frames[:, 0])
    np.testing.assert_array_equal(stacked[..., 3:], frames[:, 1])
