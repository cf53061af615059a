"""A stage that is a line through points: all of the loop, and nothing to compile."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lumiere_jax.training.stage import NOTHING, Stage, State, TrainState

BATCH = 8


def line(steps, batch=BATCH, nan_at=(), nan_gradient_at=(), dispatch=1):
    optimiser = optax.adam(0.1)

    def init(key, initial=NOTHING):
        params = {"a": jax.random.normal(key, (3,)), "b": jnp.zeros(())}
        network = TrainState.create({"params": params}, optimiser, ema=True)
        return State(networks={"line": network}, step=jnp.int32(0), key=key)

    def loss(params, batch, key):
        noise = 0.1 * jax.random.normal(key, batch["y"].shape)
        return ((batch["x"] @ params["a"] + params["b"] - batch["y"] - noise) ** 2).mean()

    def step(state, frozen, batch):
        key = jax.random.fold_in(state.key, state.step)
        network = state.networks["line"]
        value, gradients = jax.value_and_grad(loss)(network.params, batch, key)
        among = lambda steps: jnp.isin(state.step + 1, jnp.array(list(steps), int))  # noqa: E731
        value = jnp.where(among(nan_at), jnp.nan, value)
        wrong = among(nan_gradient_at)
        gradients = jax.tree.map(lambda g: jnp.where(wrong, jnp.inf, g), gradients)
        network = network.update(optimiser, gradients, None, 0.9, state.step)
        metrics = {"loss": value, "gradient_norm": optax.tree.norm(gradients)}
        return state.replace(networks={"line": network}, step=state.step + 1), metrics

    def evaluate(state, frozen, batch):
        return {"loss": loss(state.networks["line"].params, batch, state.key)}

    return Stage(
        name="line",
        needs=(),
        batch=batch,
        steps=steps,
        init=init,
        step=step,
        evaluate=evaluate,
        dispatch=dispatch,
    )


def points(first):
    """Batches that depend on the step alone."""
    while True:
        random = np.random.default_rng(first)
        x = random.normal(size=(BATCH, 3)).astype(np.float32)
        y = (x @ np.float32([1, -2, 3]) + np.float32(0.5)).astype(np.float32)
        yield {"x": x, "y": y, "index": np.arange(first, first + BATCH, dtype=np.int32)}
        first += 1


@pytest.fixture
def make_line():
    return line


@pytest.fixture
def batches():
    return points
