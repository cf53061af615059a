import jax
import jax.numpy as jnp
import numpy as np
import optax

from lumiere_jax.training.stage import TrainState

VARIABLES = {"params": {"a": jnp.array([1.0, 2.0])}, "batch_stats": {"mean": jnp.array([0.0])}}


def network(ema):
    return TrainState.create(VARIABLES, optax.sgd(0.5), ema)


def test_an_update_is_the_optimisers_and_changes_nothing_else():
    new = network(ema=False).update(optax.sgd(0.5), {"a": jnp.array([2.0, 0.0])})
    np.testing.assert_allclose(new.params["a"], [0.0, 2.0])
    np.testing.assert_array_equal(new.batch_stats["mean"], [0.0])
    assert new.inference_variables == new.variables
    new = new.update(optax.sgd(0.5), {"a": jnp.zeros(2)}, {"mean": jnp.array([7.0])})
    np.testing.assert_array_equal(new.variables["batch_stats"]["mean"], [7.0])


def test_the_average_is_of_weights_and_statistics_and_warms_up():
    state, optimiser = network(ema=True), optax.sgd(0.5)
    decays = []
    for step in range(200):
        old = state.inference_variables
        state = state.update(
            optimiser, {"a": -jnp.ones(2)}, {"mean": jnp.ones(1)}, 0.9, jnp.int32(step)
        )
        new, now = state.inference_variables, state.variables
        gone = now["params"]["a"][0] - new["params"]["a"][0]
        decays.append(float(gone / (now["params"]["a"][0] - old["params"]["a"][0])))
    # (1 + t) / (10 + t) until the decay that was asked for.
    np.testing.assert_allclose(decays[:3], [0.1, 2 / 11, 3 / 12], rtol=1e-4)
    np.testing.assert_allclose(decays[-1], 0.9, rtol=1e-3)
    np.testing.assert_allclose(state.inference_variables["batch_stats"]["mean"], [1.0], atol=1e-4)


def test_the_first_average_is_a_copy_so_that_the_state_can_be_donated():
    state = network(ema=True)
    leaves = {id(leaf) for leaf in jax.tree.leaves(state.variables)}
    assert not leaves & {id(leaf) for leaf in jax.tree.leaves(state.ema)}
