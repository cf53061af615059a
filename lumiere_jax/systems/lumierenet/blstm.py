"""Stage `blstm`: a → z, learned from audio windows and the VAE's codes (section 3.3)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lumiere_jax import losses
from lumiere_jax.audio.features import FILTERS, filter_tops
from lumiere_jax.audio.listening import NARROWEST, WHOLE
from lumiere_jax.codes.recurrent import BLSTM, Windows
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.training.accumulate import accumulate
from lumiere_jax.training.stage import Batch, Metrics, Stage, State, TrainState


def blstm_network(config: Config) -> BLSTM:
    """a → z, as the config has it."""
    return BLSTM(config.blstm.cells, config.vae.code, config.blstm.dtype)


def narrowed(a: Windows, share: float, key: jax.Array) -> Windows:
    """Windows (b, width, filters), a share of which is heard in a narrow band.

    Each of these ends at a frequency of its own, and filters that reach above it have the training
    set's mean, which is 0, as `normalise` gives it to recordings of a narrow band.
    """
    which, where = jax.random.split(key)
    narrow = jax.random.bernoulli(which, share, (len(a), 1, 1))
    end = jax.random.uniform(where, (len(a), 1, 1), minval=NARROWEST, maxval=WHOLE)
    return jnp.where(narrow & (filter_tops()[None, None] > end), 0.0, a)


def blstm_stage(config: Config) -> Stage:
    """L2 between codes and the VAE encoder's means of the same frames (section 4.4)."""
    c = config.blstm
    model = blstm_network(config)
    optimiser = optax.rmsprop(c.learning_rate, decay=0.9, eps=1e-7, eps_in_sqrt=False)

    def init(key: jax.Array) -> State:
        variables = model.init(key, jnp.zeros((1, c.window, FILTERS)))
        network = TrainState.create(variables, optimiser, average=False)
        return State(networks={"blstm": network}, step=jnp.int32(0), key=key)

    def loss(params: Any, batch: Batch) -> jax.Array:
        z = model.apply({"params": params}, batch["features"])
        return losses.mse(z, batch["codes"]).mean()

    def step(state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
        network = state.networks["blstm"]

        def gradient(part: Batch, key: jax.Array) -> tuple[jax.Array, Any]:
            if c.narrow:
                part = {**part, "features": narrowed(part["features"], c.narrow, key)}
            return jax.value_and_grad(loss)(network.params, part)

        key = jax.random.fold_in(state.key, state.step)
        value, gradients = accumulate(gradient, c.accumulate, batch, key)
        network = network.update(optimiser, gradients)
        watched = {
            "learning_rate": jnp.float32(c.learning_rate),
            "gradient_norm": optax.tree.norm(gradients),
        }
        state = dataclasses.replace(state, networks={"blstm": network}, step=state.step + 1)
        return state, {"loss": value, **watched}

    def evaluate(state: State, frozen: Any, batch: Batch) -> Metrics:
        """Also the loss with other frames' audio: as low, and the audio is not heard."""
        params, count = state.networks["blstm"].params, len(batch["features"])
        others = jnp.roll(batch["features"], count // 2, axis=0)
        shuffled = {"loss_shuffled": loss(params, {**batch, "features": others})}
        return {"loss": loss(params, batch), **(shuffled if count > 1 else {})}

    return Stage(
        name="blstm",
        needs=("vae",),
        batch=c.batch,
        steps=c.steps,
        init=init,
        step=step,
        evaluate=evaluate,
        accumulate=c.accumulate,
        dispatch=c.dispatch,
    )
