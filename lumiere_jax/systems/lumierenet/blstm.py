"""Stage `blstm`: a → z, learned from audio windows and the VAE's codes (section 3.3)."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lumiere_jax import losses
from lumiere_jax.audio.features import FILTERS, filter_tops
from lumiere_jax.audio.level_and_band import NARROWEST, WHOLE
from lumiere_jax.codes.recurrent import BLSTM, Windows
from lumiere_jax.systems.lumierenet.config import BLSTMConfig, Config
from lumiere_jax.training.accumulate import accumulate
from lumiere_jax.training.stage import NOTHING, Batch, Metrics, Stage, State, TrainState


def blstm_network(config: Config) -> BLSTM:
    """Makes the network a → z of a config."""
    return BLSTM(config.blstm.cells, config.vae.code, config.blstm.dtype)


def narrowed(a: Windows, share: float, key: jax.Array) -> Windows:
    """Gives a random share of windows (b, width, filters) a narrow band.

    Each of these ends at a frequency of its own. Filters that reach above it are 0, the training
    set's mean, as `normalise` makes them for recordings of a narrow band.
    """
    which, where = jax.random.split(key)
    narrow = jax.random.bernoulli(which, share, (len(a), 1, 1))
    end = jax.random.uniform(where, (len(a), 1, 1), minval=NARROWEST, maxval=WHOLE)
    return jnp.where(narrow & (filter_tops()[None, None] > end), 0.0, a)


def optimiser(c: BLSTMConfig) -> optax.GradientTransformation:
    """Makes RMSProp (section 4.4)."""
    return optax.rmsprop(c.learning_rate, decay=0.9, eps=1e-7, eps_in_sqrt=False)


def init(config: Config, key: jax.Array, initial: Any = NOTHING) -> State:
    """Makes the state before the first step."""
    c = config.blstm
    variables = blstm_network(config).init(key, jnp.zeros((1, c.window, FILTERS)))
    variables = initial.get("blstm", variables)
    network = TrainState.create(variables, optimiser(c), ema=False)
    return State(networks={"blstm": network}, step=jnp.int32(0), key=key)


def loss(params: Any, config: Config, batch: Batch) -> jax.Array:
    """Computes the squared error between codes and the VAE encoder's means (section 4.4).

    Args:
      params: The BLSTM's parameters.
      config: The run's config.
      batch: "features", log-mel windows (b, window, 40), and "codes" (b, code).

    Returns:
      The mean over the batch, a scalar.
    """
    z = blstm_network(config).apply({"params": params}, batch["features"])
    return losses.mse(z, batch["codes"]).mean()


def step(config: Config, state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
    """Takes one step on a batch; a share `narrow` of its windows gets a narrow band."""
    c, network = config.blstm, state.networks["blstm"]

    def gradient(part: Batch, key: jax.Array) -> tuple[jax.Array, Any]:
        if c.narrow:
            part = {**part, "features": narrowed(part["features"], c.narrow, key)}
        return jax.value_and_grad(loss)(network.params, config, part)

    key = jax.random.fold_in(state.key, state.step)
    value, gradients = accumulate(gradient, c.accumulate, batch, key)
    network = network.update(optimiser(c), gradients)
    watched = {
        "learning_rate": jnp.float32(c.learning_rate),
        "gradient_norm": optax.tree.norm(gradients),
    }
    state = dataclasses.replace(state, networks={"blstm": network}, step=state.step + 1)
    return state, {"loss": value, **watched}


def evaluate(config: Config, state: State, frozen: Any, batch: Batch) -> Metrics:
    """Computes the loss, and the loss with other frames' audio.

    If the second is as low as the first, the network ignores the audio.
    """
    params, count = state.networks["blstm"].params, len(batch["features"])
    others = jnp.roll(batch["features"], count // 2, axis=0)
    shuffled = {"loss_shuffled": loss(params, config, {**batch, "features": others})}
    return {"loss": loss(params, config, batch), **(shuffled if count > 1 else {})}


def blstm_stage(config: Config) -> Stage:
    """Makes the stage, which needs the VAE's codes."""
    c = config.blstm
    return Stage(
        name="blstm",
        needs=("vae",),
        batch=c.batch,
        steps=c.steps,
        init=functools.partial(init, config),
        step=functools.partial(step, config),
        evaluate=functools.partial(evaluate, config),
        accumulate=c.accumulate,
        dispatch=c.dispatch,
    )
