"""Stage `vae`: z ↔ w, learned from pose figures (section 3.2)."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lumiere_jax import losses, vgg
from lumiere_jax.figures.autoencoder import VAE
from lumiere_jax.measures import metrics
from lumiere_jax.systems.lumierenet.config import Config, VAEConfig
from lumiere_jax.systems.pictures import sheet, to_uint8, unit
from lumiere_jax.training.accumulate import accumulate
from lumiere_jax.training.stage import NOTHING, Batch, Metrics, Stage, State, TrainState


def vae_network(config: Config, size: int) -> VAE:
    """Makes the network z ↔ w of a config."""
    return VAE(size, config.vae.code, config.vae.dtype)


def learning_rate(c: VAEConfig, step: Any) -> Any:
    """Returns the rate of a step, which rises linearly over the first `warm_up` steps."""
    # RMSProp's first steps are its largest, and they add up over the many inputs of `logvar`.
    return c.learning_rate * jnp.minimum(1.0, (step + 1) / max(c.warm_up, 1))


def optimiser(c: VAEConfig) -> optax.GradientTransformation:
    """Makes RMSProp at `learning_rate` (section 4.4)."""
    rate = functools.partial(learning_rate, c)
    return optax.rmsprop(rate, decay=0.9, eps=1e-7, eps_in_sqrt=False)


def init(config: Config, size: int, key: jax.Array, initial: Any = NOTHING) -> State:
    """Makes the state before the first step, for figures of `size` x `size` pixels."""
    model = vae_network(config, size)
    variables = model.init(key, jnp.zeros((1, size, size, 3)), jax.random.key(0))
    variables = initial.get("vae", variables)
    c = config.vae
    network = TrainState.create(variables, optimiser(c), ema=c.average > 0)
    return State(networks={"vae": network}, step=jnp.int32(0), key=key)


def loss(
    params: Any, config: Config, frozen: Any, batch: Batch, key: jax.Array
) -> tuple[jax.Array, Metrics]:
    """Computes the loss: perceptual on VGG-19's layers (footnote 4), KL, and optionally pixels.

    Args:
      params: The VAE's parameters.
      config: The run's config; the weights of the terms are those of `config.vae`.
      frozen: "vgg", VGG-19 or an empty dict.
      batch: "figure", uint8 (b, rows, cols, 3), and "keypoints" (b, 137, 3).
      key: Key that draws the codes.

    Returns:
      The weighted sum, and its terms by name.
    """
    c, w = config.vae, unit(batch["figure"])
    size = w.shape[1]
    outputs: Any = vae_network(config, size).apply({"params": params}, w, key)
    decoded, mu, logvar = outputs
    kl = losses.kl_divergence(mu, logvar).mean()
    terms = {"kl": kl}
    total = c.kl * kl
    if c.pixel:
        weights = losses.region_weights(batch["keypoints"], size, c.mouth, c.eyes, c.hands, c.face)
        terms["pixel"] = losses.weighted_mse(decoded, w, weights).mean()
        total += c.pixel * terms["pixel"]
    if frozen["vgg"] and c.perceptual:
        phi = lambda x: vgg.features(frozen["vgg"], x, tuple(config.vgg_layers), c.dtype)  # noqa: E731
        terms["perceptual"] = losses.perceptual(phi(w), phi(decoded)).mean()
        total += c.perceptual * terms["perceptual"]
    return total, {"loss": total, **terms}


def step(config: Config, state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
    """Takes one step on a batch, in `config.vae.accumulate` parts."""
    c = config.vae
    key = jax.random.fold_in(state.key, state.step)
    network = state.networks["vae"]
    gradient = functools.partial(jax.grad(loss, has_aux=True), network.params, config, frozen)
    gradients, terms = accumulate(gradient, c.accumulate, batch, key)
    network = network.update(optimiser(c), gradients, None, c.average, state.step)
    watched = {
        "learning_rate": learning_rate(c, state.step.astype(jnp.float32)),
        "gradient_norm": optax.tree.norm(gradients),
    }
    state = dataclasses.replace(state, networks={"vae": network}, step=state.step + 1)
    return state, {**terms, **watched}


def evaluate(config: Config, state: State, frozen: Any, batch: Batch) -> Metrics:
    """Computes the PSNR of figures through the means of their codes."""
    model = vae_network(config, batch["figure"].shape[1])
    w = reconstruct(model, state.networks["vae"].inference_variables, batch["figure"])
    return {"psnr": metrics.psnr(w, batch["figure"]).mean()}


def vae_stage(config: Config, size: int) -> Stage:
    """Makes the stage on figures of `size` x `size` pixels."""
    c = config.vae
    reconstruct_jit = jax.jit(functools.partial(reconstruct, vae_network(config, size)))

    def pictures(state: State, frozen: Any, batch: Batch) -> np.ndarray:
        w = np.asarray(batch["figure"])[:6]
        decoded = reconstruct_jit(state.networks["vae"].inference_variables, w)
        return sheet([w, decoded])

    return Stage(
        name="vae",
        needs=(),
        batch=c.batch,
        steps=c.steps,
        init=functools.partial(init, config, size),
        step=functools.partial(step, config),
        evaluate=functools.partial(evaluate, config),
        pictures=pictures,
        accumulate=c.accumulate,
    )


def encode(model: VAE, variables: Any, figures: Any) -> jax.Array:
    """Maps uint8 figures to the means of their codes."""
    mu, _ = model.apply(variables, unit(figures), method="encode")
    return mu


def through_means(model: VAE, variables: Any, w: jax.Array) -> jax.Array:
    """Passes figures in [0, 1] through the means of their codes."""
    mu, _ = model.apply(variables, w, method="encode")
    decoded: Any = model.apply(variables, mu, method="decode")
    return decoded


def reconstruct(model: VAE, variables: Any, figures: Any) -> jax.Array:
    """Passes uint8 figures through the means of their codes, to uint8."""
    return to_uint8(through_means(model, variables, unit(figures)), low=0.0)
