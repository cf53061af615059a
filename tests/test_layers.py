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


def test_batch_norm_of_what_is_seen_is_that_of_it_alone():
    class Norm(nn.Module):
        @nn.compact
        def __call__(self, x, seen=None):
            return layers.batch_norm(x, True, "norm", seen)

    x = jax.random.normal(jax.random.key(0), (4, 2, 2, 3))
    seen = jnp.array([True, False, True, False])
    variables = Norm().init(jax.random.key(1), x)
    run = lambda *x: Norm().apply(variables, *x, mutable=["batch_stats"])  # noqa: E731
    some, statistics = run(x, seen[:, None, None, None])
    alone, expected = run(x[seen])
    np.testing.assert_allclose(some[seen], alone, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), statistics, expected)


def test_a_gru_goes_on_from_its_state():
    net = layers.GRU(5, layers=2)
    x = jax.random.normal(jax.random.key(0), (3, 7, 4))
    (whole, end), variables = net.init_with_output(jax.random.key(1), x)
    state, pieces = None, []
    for piece in (x[:, :1], x[:, 1:5], x[:, 5:]):
        y, state = net.apply(variables, piece, state)
        pieces.append(y)
    np.testing.assert_allclose(jnp.concatenate(pieces, axis=1), whole, atol=1e-6)
    np.testing.assert_allclose(state, end, atol=1e-6)
    assert end.shape == (2, 3, 5)
    np.testing.assert_array_equal(end[1], whole[:, -1])
