"""The BLSTM: windows that never look ahead, and states that see them whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lumiere_jax.codes.recurrent import BLSTM, LSTM, window_steps

NET = BLSTM(cells=8, code=4)


@pytest.fixture(scope="module")
def variables():
    return jax.jit(NET.init)(jax.random.key(0), jnp.zeros((1, 15, 40)))


def test_parameter_count():
    a = jax.ShapeDtypeStruct((1, 15, 40), jnp.float32)
    variables = jax.eval_shape(BLSTM().init, jax.random.key(0), a)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == 673_920


def test_windows_look_back_and_repeat_the_first_feature():
    features = np.arange(20, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)
    found = features[window_steps(20, 5)]
    assert found.shape == (20, 5, 3)
    np.testing.assert_array_equal(found[10, :, 0], [6, 7, 8, 9, 10])
    np.testing.assert_array_equal(found[2, :, 0], [0, 0, 0, 1, 2])
    np.testing.assert_array_equal(found[0], 0)


def test_a_code_hears_its_window_and_nothing_after_it(variables):
    features = jax.random.normal(jax.random.key(1), (40, 40))

    def code(features):
        return jnp.sum(NET.apply(variables, features[window_steps(len(features), 15)])[25])

    heard = np.abs(jax.jit(jax.grad(code))(features)).sum(axis=1) > 0
    np.testing.assert_array_equal(np.flatnonzero(heard), np.arange(11, 26))


def test_forget_gates_start_open():
    params = jax.jit(LSTM(8).init)(jax.random.key(0), jnp.zeros((1, 15, 40)))["params"]
    np.testing.assert_array_equal(params["inputs"]["bias"].reshape(4, 8)[:, 0], [0, 1, 0, 0])


def test_gradients_reach_every_parameter(variables):
    a = jax.random.normal(jax.random.key(1), (3, 15, 40))
    gradients = jax.jit(jax.grad(lambda v: jnp.sum(NET.apply(v, a) ** 2)))(variables)
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(gradients))
