"""Stage `animator`: waveform and still → frames, against two discriminators (section 3)."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lumiere_jax import losses, metrics
from lumiere_jax.audio.encoders import WINDOW
from lumiere_jax.frames.discriminators import seen_frames
from lumiere_jax.systems.pictures import sheet, signed, to_uint8
from lumiere_jax.systems.summaries import MOST_PSNR
from lumiere_jax.systems.temporal_gan.config import AnimatorConfig, Config
from lumiere_jax.systems.temporal_gan.networks import (
    frame_discriminator,
    generator,
    sequence_discriminator,
)
from lumiere_jax.training.stage import Batch, Metrics, Stage, State, TrainState

SHOWN = 8


def rate_at(c: AnimatorConfig, first: float) -> optax.Schedule:
    """A learning rate by step: `first`, falling from the end of epoch `decay_after` on."""

    def rate(step: Any) -> Any:
        if not c.epoch:
            return jnp.float32(first)
        epochs = jnp.maximum(jnp.asarray(step) // c.epoch - c.decay_after + 1, 0)
        return jnp.float32(first) * jnp.float32(c.rate_decay) ** epochs.astype(jnp.float32)

    return rate


def animator_stage(config: Config, shape: tuple[int, int]) -> Stage:
    """Eq. 1, in its non-saturating form for G, and Eq. 2, weighted as Eq. 3 says."""
    c = config.animator
    g_model = generator(config)
    discriminators = {}
    if c.frame_adversarial:
        discriminators["frame"] = frame_discriminator(config, shape)
    if c.sequence_adversarial:
        discriminators["sequence"] = sequence_discriminator(config, shape)
    weights = {"frame": c.frame_adversarial, "sequence": c.sequence_adversarial}
    adam = functools.partial(optax.adam, b1=c.beta1, b2=c.beta2)
    rates = {"G": rate_at(c, c.learning_rate), "frame": rate_at(c, c.frame_learning_rate)}
    optimisers = {name: adam(rate) for name, rate in rates.items()}
    optimisers["sequence"] = adam(c.sequence_learning_rate)

    def init(key: jax.Array) -> State:
        keys = jax.random.split(key, 3)
        still, y = jnp.zeros((1, *shape, 3)), jnp.zeros((1, 2, *shape, 3))
        x, noise = jnp.zeros((1, 2, WINDOW)), jnp.zeros((1, 2, c.noise))
        whole = jnp.full(1, 2)
        given = {"frame": (jnp.concatenate([still, still], -1),), "sequence": (y, x, whole)}
        variables = {"G": g_model.init(keys[0], x, still, noise, whole, False)}
        for own, (name, model) in zip(keys[1:], discriminators.items(), strict=False):
            variables[name] = model.init(own, *given[name], train=False)
        networks = {
            name: TrainState.create(v, optimisers[name], average=name == "G" and c.average > 0)
            for name, v in variables.items()
        }
        return State(networks=networks, step=jnp.int32(0), key=key)

    def generate(params: Any, network: TrainState, batch: Batch, key: jax.Array):
        """Frames of the batch's sequences, and G's running averages after them."""
        x = batch["windows"]
        noise = c.noise_deviation * jax.random.normal(key, (*x.shape[:2], c.noise))
        y, changed = g_model.apply(
            {"params": params, "batch_stats": network.statistics},
            x,
            signed(batch["still"]),
            noise,
            batch["lengths"],
            True,
            mutable=["batch_stats"],
        )
        return y, changed["batch_stats"]

    def discriminate(
        name: str, params: Any, network: TrainState, y: jax.Array, batch: Batch, t: Any
    ):
        """A discriminator's logits, and its running averages: frame t of each, or all of them."""
        if name == "frame":
            chosen = y[jnp.arange(len(y)), t]
            given = (jnp.concatenate([chosen, signed(batch["still"])], -1),)
        else:
            given = y, batch["windows"], batch["lengths"]
        variables = {"params": params, "batch_stats": network.statistics}
        logits, changed = discriminators[name].apply(
            variables, *given, train=True, mutable=["batch_stats"]
        )
        return logits, changed["batch_stats"]

    def generator_loss(params: Any, state: State, batch: Batch, y: jax.Array, t: Any, key: Any):
        made, statistics = generate(params, state.networks["G"], batch, key)
        seen = seen_frames(batch["lengths"], y.shape[1]).astype(jnp.float32)
        l1 = losses.lower_half_l1(y, made, seen, c.upper).mean()
        terms, total = {"reconstruction": l1}, c.reconstruction * l1
        for name in discriminators:
            network = state.networks[name]
            logits, _ = discriminate(name, network.params, network, made, batch, t)
            terms[f"{name}_adversarial"] = losses.non_saturating_generator(logits).mean()
            total += weights[name] * terms[f"{name}_adversarial"]
        return total, (made, statistics, {"loss": total, **terms})

    def discriminator_loss(
        params: Any, name: str, network: TrainState, y: Any, made: Any, batch: Any, t
    ):
        """Real and made sequences have statistics of their own."""
        real, _ = discriminate(name, params, network, y, batch, t)
        fake, statistics = discriminate(name, params, network, made, batch, t)
        accuracy = jnp.mean(jnp.concatenate([real > 0, fake < 0]), dtype=jnp.float32)
        return losses.cross_entropy_discriminator(real, fake).mean(), (statistics, accuracy)

    def step(state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
        key = jax.random.fold_in(state.key, state.step)
        noise_key, frame_key = jax.random.split(key)
        y, networks = signed(batch["frames"]), dict(state.networks)
        # S(x) of Eq. 1.
        t = jax.random.randint(frame_key, batch["lengths"].shape, 0, batch["lengths"])
        g = networks["G"]
        gradients, (made, statistics, terms) = jax.grad(generator_loss, has_aux=True)(
            g.params, state, batch, y, t, noise_key
        )
        networks["G"] = g.update(optimisers["G"], gradients, statistics, c.average, state.step)
        terms |= {"learning_rate": rates["G"](state.step), "gradient_norm_G": _norm(gradients)}
        for name in discriminators:
            network = networks[name]
            (value, (statistics, accuracy)), gradients = jax.value_and_grad(
                discriminator_loss, has_aux=True
            )(network.params, name, network, y, jax.lax.stop_gradient(made), batch, t)
            networks[name] = network.update(optimisers[name], gradients, statistics)
            terms[f"{name}_discriminator"] = value
            terms[f"discriminator_accuracy_{name}"] = accuracy
            terms[f"gradient_norm_{name}"] = _norm(gradients)
        return dataclasses.replace(state, networks=networks, step=state.step + 1), terms

    def frames_of(variables: Any, batch: Batch) -> jax.Array:
        """uint8 frames of sequences from their beginning."""
        noise = c.noise_deviation * jax.random.normal(
            jax.random.key(0), (*batch["windows"].shape[:2], c.noise)
        )
        still = signed(batch["still"])
        y = g_model.apply(variables, batch["windows"], still, noise, batch["lengths"], False)
        return to_uint8(y, low=-1.0)

    def evaluate(state: State, frozen: Any, batch: Batch) -> Metrics:
        """Also the PSNR of the still itself, over the frames that differ from it."""
        made = frames_of(state.networks["G"].inference_variables, batch)
        y, seen = batch["frames"], seen_frames(batch["lengths"], made.shape[1])
        frozen_still = jnp.broadcast_to(batch["still"][:, None], y.shape)
        own = seen.astype(jnp.float32)
        others = (seen & jnp.any(frozen_still != y, axis=(2, 3, 4))).astype(jnp.float32)
        unit = lambda x: jnp.asarray(x).astype(jnp.float32) / 127.5  # noqa: E731
        mouths = losses.lower_half_l1(unit(made), unit(y), own).mean()
        return {
            "psnr": _mean_psnr(made, y, own),
            "still_psnr": _mean_psnr(frozen_still, y, others),
            "reconstruction": mouths,
        }

    frames_jit = jax.jit(frames_of)

    def pictures(state: State, frozen: Any, batch: Batch) -> np.ndarray:
        first = {name: np.asarray(x)[:1] for name, x in batch.items()}
        made = frames_jit(state.networks["G"].inference_variables, first)
        times = np.linspace(0, int(first["lengths"][0]) - 1, SHOWN).astype(int)
        stills = np.repeat(first["still"], SHOWN, 0)
        return sheet([stills, np.asarray(made)[0, times], first["frames"][0, times]])

    return Stage(
        name="animator",
        needs=(),
        batch=c.batch,
        steps=c.steps,
        init=init,
        step=step,
        evaluate=evaluate,
        pictures=pictures,
        epoch=c.epoch,
        patience=c.patience,
        gain="reconstruction",
    )


def _norm(gradients: Any) -> jax.Array:
    return optax.tree.norm(gradients)


def _mean_psnr(made: jax.Array, y: Any, seen: jax.Array) -> jax.Array:
    """The mean PSNR of the frames that are seen, each capped at MOST_PSNR as in a report."""
    flat = lambda x: jnp.asarray(x).reshape(-1, *x.shape[2:])  # noqa: E731
    values = jnp.minimum(metrics.psnr(flat(made), flat(y)), MOST_PSNR)
    return jnp.sum(values * seen.reshape(-1)) / jnp.maximum(jnp.sum(seen), 1.0)
