import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lumiere_jax import layers


def test_max_pool_equals_reduce_window_and_gives_ties_to_the_first():
    x = jnp.round(jax.random.normal(jax.random.key(0), (2, 6, 8, 3)))  # rounding makes ties

    def native(x):
        return nn.max_pool(x, (2, 2), (2, 2))

    y, vjp = jax.vjp(layers.max_pool, x)
    y_native, vjp_native = jax.vjp(native, x)
    np.testing.assert_array_equal(y, y_native)
    dy = jax.random.normal(jax.random.key(1), y.shape)
    np.testing.assert_array_equal(vjp(dy)[0], vjp_native(dy)[0])


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
