"""Stage `animator`: waveform and still → frames, against two discriminators (section 3)."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from lumiere_jax import losses
from lumiere_jax.audio.encoders import WINDOW
from lumiere_jax.frames.discriminators import seen_frames
from lumiere_jax.measures import metrics
from lumiere_jax.measures.summaries import MOST_PSNR
from lumiere_jax.systems.pictures import sheet, signed, to_uint8
from lumiere_jax.systems.temporal_gan.config import AnimatorConfig, Config
from lumiere_jax.systems.temporal_gan.networks import (
    frame_discriminator,
    generator,
    sequence_discriminator,
)
from lumiere_jax.training.network_updates import apply_in_training, gradient_norms
from lumiere_jax.training.stage import NOTHING, Batch, Metrics, Stage, State, TrainState

SHOWN = 8


def rate_at(c: AnimatorConfig, first: float) -> optax.Schedule:
    """Makes a schedule of the learning rate by step.

    It begins at `first`, and falls from the end of epoch `decay_after` on.
    """

    def rate(step: Any) -> Any:
        if not c.epoch:
            return jnp.float32(first)
        epochs = jnp.maximum(jnp.asarray(step) // c.epoch - c.decay_after + 1, 0)
        return jnp.float32(first) * jnp.float32(c.rate_decay) ** epochs.astype(jnp.float32)

    return rate


def optimisers(c: AnimatorConfig) -> dict[str, optax.GradientTransformation]:
    """Makes Adam for each network, at a rate of its own (section 3.3)."""
    adam = functools.partial(optax.adam, b1=c.beta1, b2=c.beta2)
    return {
        "G": adam(rate_at(c, c.learning_rate)),
        "frame": adam(rate_at(c, c.frame_learning_rate)),
        "sequence": adam(c.sequence_learning_rate),
    }


def adversarial_weights(c: AnimatorConfig) -> dict[str, float]:
    """Returns the weight of each discriminator; a weight of 0 leaves it out."""
    weights = {"frame": c.frame_adversarial, "sequence": c.sequence_adversarial}
    return {name: weight for name, weight in weights.items() if weight}


def discriminator(name: str, config: Config, shape: tuple[int, int]) -> nn.Module:
    """Makes the discriminator of this name, for frames of `shape`."""
    make = {"frame": frame_discriminator, "sequence": sequence_discriminator}[name]
    return make(config, shape)


def init(config: Config, shape: tuple[int, int], key: jax.Array, initial: Any = NOTHING) -> State:
    """Makes the state before the first step, for frames of `shape` (rows, cols)."""
    c = config.animator
    keys = jax.random.split(key, 3)
    still, y = jnp.zeros((1, *shape, 3)), jnp.zeros((1, 2, *shape, 3))
    x, noise = jnp.zeros((1, 2, WINDOW)), jnp.zeros((1, 2, c.noise))
    whole = jnp.full(1, 2)
    given = {"frame": (jnp.concatenate([still, still], -1),), "sequence": (y, x, whole)}
    variables = {"G": generator(config).init(keys[0], x, still, noise, whole, False)}
    for own, name in zip(keys[1:], adversarial_weights(c), strict=False):
        model = discriminator(name, config, shape)
        variables[name] = model.init(own, *given[name], train=False)
    networks = {
        name: TrainState.create(
            initial.get(name, v), optimisers(c)[name], ema=name == "G" and c.average > 0
        )
        for name, v in variables.items()
    }
    return State(networks=networks, step=jnp.int32(0), key=key)


def draw_noise(c: AnimatorConfig, key: jax.Array, windows: jax.Array) -> jax.Array:
    """Draws noise (b, time, noise) for windows (b, time, samples)."""
    return c.noise_deviation * jax.random.normal(key, (*windows.shape[:2], c.noise))


def discriminate(
    name: str, params: Any, batch_stats: Any, config: Config, y: jax.Array, batch: Batch, t: Any
) -> tuple[jax.Array, Any]:
    """Returns a discriminator's logits of sequences y, and its running statistics after them.

    Args:
      name: "frame", which sees frame `t` of each sequence, or "sequence", which sees them all.
      params: Its parameters.
      batch_stats: Its running statistics.
      config: The run's config.
      y: Frames (b, time, rows, cols, 3) in [-1, 1].
      batch: "still", "windows" and "lengths" of the sequences.
      t: The frames (b,) that "frame" sees.
    """
    if name == "frame":
        chosen = y[jnp.arange(len(y)), t]
        given = (jnp.concatenate([chosen, signed(batch["still"])], -1),)
    else:
        given = y, batch["windows"], batch["lengths"]
    rows, cols = y.shape[2:4]
    return apply_in_training(discriminator(name, config, (rows, cols)), params, batch_stats, *given)


def generator_loss(
    params: Any,
    networks: Mapping[str, TrainState],
    config: Config,
    batch: Batch,
    y: jax.Array,
    t: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, tuple[jax.Array, Any, Metrics]]:
    """Computes Eq. 3: Eq. 1 in its non-saturating form, and Eq. 2.

    Args:
      params: G's parameters.
      networks: All networks, for the discriminators and G's running statistics.
      config: The run's config; the weights of the terms are those of `config.animator`.
      batch: "still" uint8 (b, rows, cols, 3), "windows" (b, time, samples) and "lengths" (b,).
      y: Their real frames (b, time, rows, cols, 3) in [-1, 1].
      t: The frames (b,) that the frame discriminator sees.
      key: Key of the noise.

    Returns:
      The weighted sum; and G's frames, its running statistics after them, and the terms by name.
    """
    c = config.animator
    noise = draw_noise(c, key, batch["windows"])
    made, batch_stats = apply_in_training(
        generator(config),
        params,
        networks["G"].batch_stats,
        batch["windows"],
        signed(batch["still"]),
        noise,
        batch["lengths"],
    )
    seen = seen_frames(batch["lengths"], y.shape[1]).astype(jnp.float32)
    l1 = losses.lower_half_l1(y, made, seen, c.upper).mean()
    terms, total = {"reconstruction": l1}, c.reconstruction * l1
    for name, weight in adversarial_weights(c).items():
        d = networks[name]
        logits, _ = discriminate(name, d.params, d.batch_stats, config, made, batch, t)
        terms[f"{name}_adversarial"] = losses.non_saturating_generator(logits).mean()
        total += weight * terms[f"{name}_adversarial"]
    return total, (made, batch_stats, {"loss": total, **terms})


def discriminator_loss(
    params: Any,
    batch_stats: Any,
    name: str,
    config: Config,
    y: jax.Array,
    made: jax.Array,
    batch: Batch,
    t: jax.Array,
) -> tuple[jax.Array, tuple[Any, jax.Array]]:
    """Computes a discriminator's side of Eq. 1.

    BatchNorm treats real and made sequences as separate batches.

    Args:
      params: Its parameters.
      batch_stats: Its running statistics.
      name: "frame" or "sequence".
      config: The run's config.
      y: Real frames (b, time, rows, cols, 3) in [-1, 1].
      made: G's frames.
      batch: As in `generator_loss`.
      t: The frames (b,) that the frame discriminator sees.

    Returns:
      The loss; and its running statistics after the made sequences, and its accuracy.
    """
    real, _ = discriminate(name, params, batch_stats, config, y, batch, t)
    fake, after = discriminate(name, params, batch_stats, config, made, batch, t)
    accuracy = jnp.mean(jnp.concatenate([real > 0, fake < 0]), dtype=jnp.float32)
    return losses.cross_entropy_discriminator(real, fake).mean(), (after, accuracy)


def step(config: Config, state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
    """Takes one step of all networks; discriminators see the frames from before G's update."""
    c, apply = config.animator, optimisers(config.animator)
    key = jax.random.fold_in(state.key, state.step)
    noise_key, frame_key = jax.random.split(key)
    y, networks = signed(batch["frames"]), dict(state.networks)
    # S(x) of Eq. 1.
    t = jax.random.randint(frame_key, batch["lengths"].shape, 0, batch["lengths"])
    gradients, (made, batch_stats, terms) = jax.grad(generator_loss, has_aux=True)(
        networks["G"].params, state.networks, config, batch, y, t, noise_key
    )
    networks["G"] = networks["G"].update(apply["G"], gradients, batch_stats, c.average, state.step)
    terms["learning_rate"] = rate_at(c, c.learning_rate)(state.step)
    terms |= gradient_norms({"G": gradients})
    for name in adversarial_weights(c):
        d = networks[name]
        (value, (batch_stats, accuracy)), gradients = jax.value_and_grad(
            discriminator_loss, has_aux=True
        )(d.params, d.batch_stats, name, config, y, jax.lax.stop_gradient(made), batch, t)
        networks[name] = d.update(apply[name], gradients, batch_stats)
        terms[f"{name}_discriminator"] = value
        terms[f"discriminator_accuracy_{name}"] = accuracy
        terms |= gradient_norms({name: gradients})
    return dataclasses.replace(state, networks=networks, step=state.step + 1), terms


def frames_of(variables: Any, config: Config, batch: Batch) -> jax.Array:
    """Generates uint8 frames (b, time, rows, cols, 3) of sequences from their beginning."""
    windows = batch["windows"]
    noise = draw_noise(config.animator, jax.random.key(0), windows)
    still = signed(batch["still"])
    y = generator(config).apply(variables, windows, still, noise, batch["lengths"], False)
    return to_uint8(y, low=-1.0)


def evaluate(config: Config, state: State, frozen: Any, batch: Batch) -> Metrics:
    """Computes PSNR and Eq. 2, and the PSNR of the still itself.

    The latter is over the frames that differ from the still.
    """
    made = frames_of(state.networks["G"].inference_variables, config, batch)
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


def animator_stage(config: Config, shape: tuple[int, int]) -> Stage:
    """Makes the stage on frames of `shape` (rows, cols)."""
    c = config.animator
    frames_jit = jax.jit(lambda variables, batch: frames_of(variables, config, batch))

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
        init=functools.partial(init, config, shape),
        step=functools.partial(step, config),
        evaluate=functools.partial(evaluate, config),
        pictures=pictures,
        epoch=c.epoch,
        patience=c.patience,
        gain="reconstruction",
    )


def _mean_psnr(made: jax.Array, y: Any, seen: jax.Array) -> jax.Array:
    """Averages the PSNR of frames that are seen, each capped at MOST_PSNR as in a report."""
    flat = lambda x: jnp.asarray(x).reshape(-1, *x.shape[2:])  # noqa: E731
    values = jnp.minimum(metrics.psnr(flat(made), flat(y)), MOST_PSNR)
    return jnp.sum(values * seen.reshape(-1)) / jnp.maximum(jnp.sum(seen), 1.0)
