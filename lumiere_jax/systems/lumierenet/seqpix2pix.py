"""Stage `seqpix2pix`: w → y, learned from triplets of figures and frames (section 3.4)."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lumiere_jax.frames.generators import UNet
from lumiere_jax.measures import metrics
from lumiere_jax.systems.lumierenet.config import Config, SeqPix2PixConfig
from lumiere_jax.systems.lumierenet.seqpix2pix_losses import discriminator, generator, gradients
from lumiere_jax.systems.lumierenet.vae import reconstruct, vae_network
from lumiere_jax.systems.pictures import sheet, signed, to_uint8
from lumiere_jax.training.accumulate import accumulate
from lumiere_jax.training.network_updates import gradient_norms, update_networks
from lumiere_jax.training.stage import NOTHING, Batch, Metrics, Stage, State, TrainState


def learning_rate(c: SeqPix2PixConfig, step: Any) -> Any:
    """Returns the rate of a step.

    It is constant, then falls linearly to zero over the second half, as in pix2pix.
    """
    left = (c.steps - step) / (c.steps / 2)
    return c.learning_rate * jnp.clip(left, 0.0, 1.0)


def optimiser(c: SeqPix2PixConfig) -> optax.GradientTransformation:
    """Makes Adam at `learning_rate` (section 4.4), for each network."""
    return optax.adam(functools.partial(learning_rate, c), b1=c.beta1, b2=c.beta2)


def init(config: Config, size: int, key: jax.Array, initial: Any = NOTHING) -> State:
    """Makes the state before the first step: G, D, and P where Eq. 12 or 13 has a weight."""
    c = config.seqpix2pix
    keys = jax.random.split(key, 3)
    blank = lambda channels: jnp.zeros((1, size, size, channels))  # noqa: E731
    model = generator(config, size)
    variables = {"G": model.init(keys[0], blank(3), train=False)}
    if c.lambda1 > 0 or c.lambda2 > 0:
        variables["P"] = model.init(keys[1], blank(6), train=False)
    seen = 6 if c.conditional_discriminator else 3
    variables["D"] = discriminator(config, size).init(keys[2], blank(seen), train=False)
    networks = {
        name: TrainState.create(initial.get(name, v), optimiser(c), ema=False)
        for name, v in variables.items()
    }
    return State(networks=networks, step=jnp.int32(0), key=key)


def step(config: Config, state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
    """Takes one step of all networks on a batch, in `accumulate` parts."""
    c = config.seqpix2pix
    key = jax.random.fold_in(state.key, state.step)
    part_of = functools.partial(gradients, state.networks, config, frozen)
    found, batch_stats, terms = accumulate(part_of, c.accumulate, batch, key)
    networks = update_networks(state.networks, optimiser(c), found, batch_stats)
    norms = gradient_norms(found)
    watched = {"learning_rate": learning_rate(c, state.step.astype(jnp.float32)), **norms}
    state = dataclasses.replace(state, networks=networks, step=state.step + 1)
    return state, {**terms, **watched}


def evaluate(config: Config, state: State, frozen: Any, batch: Batch) -> Metrics:
    """Computes PSNR and SSIM of triplets' last frames, also from figures through the VAE."""
    y, w = batch["frames"][:, -1], batch["figures"][:, -1]
    size, variables = y.shape[1], state.networks["G"].inference_variables
    model = generator(config, size)
    fake = render(model, variables, w)
    values = {"psnr": metrics.psnr(fake, y).mean(), "ssim": metrics.ssim(fake, y).mean()}
    if config.seqpix2pix.reconstructed:
        again = reconstruct(vae_network(config, size), frozen["vae"], w)
        values["reconstructed_psnr"] = metrics.psnr(render(model, variables, again), y).mean()
    return values


def seqpix2pix_stage(config: Config, size: int) -> Stage:
    """Makes the stage on pictures of `size` x `size` pixels."""
    c = config.seqpix2pix
    render_jit = jax.jit(functools.partial(render, generator(config, size)))

    def pictures(state: State, frozen: Any, batch: Batch) -> np.ndarray:
        w, y = np.asarray(batch["figures"])[:6, -1], np.asarray(batch["frames"])[:6, -1]
        return sheet([w, render_jit(state.networks["G"].inference_variables, w), y])

    return Stage(
        name="seqpix2pix",
        needs=("vae",) if c.reconstructed else (),
        batch=c.batch,
        steps=c.steps,
        init=functools.partial(init, config, size),
        step=functools.partial(step, config),
        evaluate=functools.partial(evaluate, config),
        pictures=pictures,
        accumulate=c.accumulate,
    )


def render(model: UNet, variables: Any, figures: Any) -> jax.Array:
    """Renders uint8 figures as uint8 frames."""
    return to_uint8(model.apply(variables, signed(figures), train=False), low=-1.0)
