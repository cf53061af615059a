"""The fast paths equal the native convolutions, forward and in both gradients."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from lumiere_jax import layers

NHWC = ("NHWC", "HWIO", "NHWC")


def down(x, k):
    return lax.conv_general_dilated(x, k, (2, 2), ((1, 1), (1, 1)), dimension_numbers=NHWC)


def up(x, k):
    """The transpose of `down` by definition: the gradient of its input."""
    shape = (x.shape[0], 2 * x.shape[1], 2 * x.shape[2], k.shape[2])
    return jax.linear_transpose(lambda y: down(y, k), jax.ShapeDtypeStruct(shape, x.dtype))(x)[0]


def same(x, k):
    return lax.conv_general_dilated(x, k, (1, 1), ((1, 1), (1, 1)), dimension_numbers=NHWC)


def nearest(x, k):
    return same(jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2), k)


CASES = {
    "down": (layers.conv4x4_down, down, (1, 8, 12, 5), (4, 4, 5, 7)),
    "down, wide": (layers.conv4x4_down, down, (3, 8, 12, 5), (4, 4, 5, 6)),
    "down to one pixel": (layers.conv4x4_down, down, (2, 2, 2, 5), (4, 4, 5, 7)),
    "up": (layers.conv4x4_up, up, (3, 4, 6, 5), (4, 4, 7, 5)),
    "up from one pixel": (layers.conv4x4_up, up, (2, 1, 1, 5), (4, 4, 7, 5)),
    "same": (layers.conv3x3, same, (3, 6, 8, 5), (3, 3, 5, 7)),
    "upsample": (layers.upsample_conv3x3, nearest, (3, 4, 6, 5), (3, 3, 5, 7)),
}


def draw(*shapes, seed=0):
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]


@pytest.mark.parametrize("case", CASES)
def test_convolutions_equal_lax_forward_and_in_gradients(case):
    fast, native, *shapes = CASES[case]
    x, kernel = draw(*shapes)

    @jax.jit
    def both(x, kernel):
        results = []
        for function in (fast, native):
            y, vjp = jax.vjp(function, x, kernel)
            results.append((y, *vjp(jnp.sin(y))))
        return results

    for ours, theirs in zip(*both(x, kernel), strict=True):
        assert np.abs(ours).max() > 0.1
        np.testing.assert_allclose(ours, theirs, atol=3e-4)


@pytest.mark.parametrize(
    "native, cpu, grads, shapes",
    [
        (layers._native_down, layers._cpu_down, layers._cpu_down_grads, CASES["down"][2:]),
        (layers._native_down, layers._cpu_down, layers._cpu_down_grads, CASES["down, wide"][2:]),
        (layers._native_up, layers._cpu_up, layers._cpu_up_grads, CASES["up"][2:]),
        (layers._native_3x3, layers._native_3x3, layers._cpu_3x3_grads, CASES["same"][2:]),
    ],
)
def test_the_two_platforms_paths_are_equal(native, cpu, grads, shapes):
    x, kernel = draw(*shapes)

    @jax.jit
    def both(x, kernel):
        y, vjp = jax.vjp(native, x, kernel)
        return (y, *vjp(y)), (cpu(x, kernel), *grads(x, kernel, y))

    for theirs, ours in zip(*both(x, kernel), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=3e-4)


def lowered(platform):
    x, kernel = draw((2, 4, 4, 4), (4, 4, 4, 4))
    step = jax.jit(jax.value_and_grad(lambda k: jnp.sum(layers.conv4x4_up(x, k) ** 2)))
    return step.trace(kernel).lower(lowering_platforms=(platform,)).as_text()


def test_the_platform_is_chosen_at_lowering():
    assert "stablehlo.convolution" not in lowered("cpu")
    assert lowered("cuda").count("stablehlo.convolution(") == 2
    assert lowered("tpu").count("stablehlo.convolution(") == 2


def test_max_pool_equals_reduce_window_and_gives_ties_to_the_first():
    x = jnp.round(draw((2, 6, 8, 3))[0])  # rounding makes ties

    def native(x):
        return nn.max_pool(x, (2, 2), (2, 2))

    y, vjp = jax.vjp(layers.max_pool, x)
    y_native, vjp_native = jax.vjp(native, x)
    np.testing.assert_array_equal(y, y_native)
    (dy,) = draw(y.shape, seed=1)
    np.testing.assert_array_equal(vjp(dy)[0], vjp_native(dy)[0])


@pytest.mark.parametrize("case", CASES)
def test_bf16_products_stay_within_a_percent_of_float32(case):
    fast, _, *shapes = CASES[case]
    x, kernel = draw(*shapes)

    @jax.jit
    def forward_and_gradients(x, kernel):
        y, vjp = jax.vjp(fast, x, kernel)
        return y, *vjp(y)

    exact = forward_and_gradients(x, kernel)
    rounded = forward_and_gradients(x.astype(jnp.bfloat16), kernel)
    assert [r.dtype for r in rounded] == [jnp.bfloat16, jnp.bfloat16, jnp.float32]
    for full, half in zip(exact, rounded, strict=True):
        error = np.linalg.norm(np.asarray(half, np.float32) - full) / np.linalg.norm(full)
        assert error < 0.01


def test_modules_have_float32_parameters_of_the_documented_shapes():
    x = jnp.zeros((1, 8, 8, 3))
    shapes = {}
    for module in (layers.Conv4x4Down, layers.Conv4x4Up, layers.Conv3x3, layers.UpsampleConv3x3):
        net = module(5, dtype=jnp.bfloat16)
        variables = jax.eval_shape(net.init, jax.random.key(0), x)
        assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(variables))
        shapes[module.__name__] = variables["params"]["kernel"].shape
        assert variables["params"]["bias"].shape == (5,)
    assert shapes == {
        "Conv4x4Down": (4, 4, 3, 5),
        "Conv4x4Up": (4, 4, 5, 3),
        "Conv3x3": (3, 3, 3, 5),
        "UpsampleConv3x3": (3, 3, 3, 5),
    }


def test_default_init_is_normal_with_deviation_one_fiftieth():
    net = layers.Conv4x4Down(64)
    kernel = jax.jit(net.init)(jax.random.key(0), jnp.zeros((1, 4, 4, 64)))["params"]["kernel"]
    assert abs(float(kernel.std()) - 0.02) < 5e-4
    assert abs(float(kernel.mean())) < 5e-4
