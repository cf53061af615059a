"""Stage `seqpix2pix`: w → y, learned from triplets of figures and frames (section 3.4)."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lumiere_jax import losses, metrics, vgg
from lumiere_jax.frames.discriminators import DCGANDiscriminator
from lumiere_jax.frames.generators import UNet, stack_frames
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.vae import reconstruct, through_means, vae_network
from lumiere_jax.systems.pictures import sheet, signed, to_uint8
from lumiere_jax.training.accumulate import accumulate
from lumiere_jax.training.stage import Batch, Metrics, Stage, State, TrainState


def _triplets(pictures: jax.Array) -> jax.Array:
    """(B, 3, …) to (3B, …), so that G sees a triplet as one batch."""
    return pictures.reshape(-1, *pictures.shape[2:])


TRIPLET = 3


def generator(config: Config, size: int) -> UNet:
    """w → y, as the config has it; P is another of its kind."""
    c = config.seqpix2pix
    return UNet(size, c.width).clone(dtype=c.dtype)


def seqpix2pix_stage(config: Config, size: int) -> Stage:
    """Eq. 10 to 13 with least squares: G, the temporal predictor P and the discriminator D."""
    c = config.seqpix2pix
    g_model = p_model = generator(config, size)
    vae_model = vae_network(config, size)
    d_model = DCGANDiscriminator(size, c.width, c.dtype)
    uses_p = c.lambda1 > 0 or c.lambda2 > 0

    def rate(step: Any) -> Any:
        # pix2pix's habit: constant, then linearly to zero over the second half.
        left = (c.steps - step) / (c.steps / 2)
        return c.learning_rate * jnp.clip(left, 0.0, 1.0)

    optimiser = optax.adam(rate, b1=c.beta1, b2=c.beta2)

    def init(key: jax.Array) -> State:
        keys = jax.random.split(key, 3)
        blank = lambda channels: jnp.zeros((1, size, size, channels))  # noqa: E731
        seen_by_d = 6 if c.conditional_discriminator else 3
        variables = {"G": g_model.init(keys[0], blank(3), train=False)}
        if uses_p:
            variables["P"] = p_model.init(keys[1], blank(6), train=False)
        variables["D"] = d_model.init(keys[2], blank(seen_by_d), train=False)
        networks = {
            name: TrainState.create(v, optimiser, average=False) for name, v in variables.items()
        }
        return State(networks=networks, step=jnp.int32(0), key=key)

    def discriminate(network: TrainState, params: Any, w: jax.Array, y: jax.Array):
        seen = jnp.concatenate([w, y], axis=-1) if c.conditional_discriminator else y
        variables = {"params": params, "batch_stats": network.statistics}
        return d_model.apply(variables, seen, train=True, mutable=["batch_stats"])

    def temporal_terms(params: Any, statistics: Any, y: jax.Array, g: jax.Array, key: jax.Array):
        """Eq. 12 and 13, and P's running averages after both."""

        def predict(past: jax.Array, key: jax.Array):
            return p_model.apply(
                {"params": params, "batch_stats": statistics},
                stack_frames(past),
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )

        # In one batch, λ2's term would reach G through the statistics that both pasts share;
        # under vmap, a CPU's products become slow batched ones.
        keys = jax.random.split(key)
        from_g, after_g = predict(g[:, :-1], keys[0])
        from_y, after_y = predict(y[:, :-1], keys[1])
        terms = {
            "temporal_g": losses.l1(y[:, -1], from_g).mean(),
            "temporal_y": losses.l1(y[:, -1], from_y).mean(),
        }
        mean = lambda a, b: (a + b) / 2.0  # noqa: E731
        return terms, jax.tree.map(mean, after_g["batch_stats"], after_y["batch_stats"])

    def generator_loss(
        params: Any,
        state: State,
        frozen: Any,
        w: jax.Array,
        y: jax.Array,
        keypoints: jax.Array,
        key: jax.Array,
    ):
        """Eq. 10's G side, 11, 12 and 13, pixels and motion; also the fakes, which D sees too, the
        running averages of G and P, and the terms."""
        g_key, p_key = jax.random.split(key)
        fakes, g_changed = g_model.apply(
            {"params": params["G"], "batch_stats": state.networks["G"].statistics},
            _triplets(w),
            train=True,
            rngs={"dropout": g_key},
            mutable=["batch_stats"],
        )
        d = state.networks["D"]
        logits, _ = discriminate(d, d.params, _triplets(w), fakes)
        terms = {"adversarial": losses.least_squares_generator(logits).mean() * TRIPLET}
        total = c.adversarial * terms["adversarial"]
        g = fakes.reshape(y.shape)
        if frozen["vgg"] and c.lambda0:
            phi = lambda x: vgg.features(  # noqa: E731
                frozen["vgg"], (x + 1.0) / 2.0, tuple(config.vgg_layers), c.dtype
            )
            terms["structural"] = losses.perceptual(phi(y[:, -1]), phi(g[:, -1])).mean()
            total += c.lambda0 * terms["structural"]
        statistics = {"G": g_changed["batch_stats"]}
        if uses_p:
            before = state.networks["P"].statistics
            temporal, statistics["P"] = temporal_terms(params["P"], before, y, g, p_key)
            terms |= temporal
            total += c.lambda1 * terms["temporal_g"] + c.lambda2 * terms["temporal_y"]
        if c.pixel:
            weights = losses.region_weights(
                _triplets(keypoints), size, c.mouth, c.eyes, c.hands, c.face
            )
            terms["pixel"] = losses.weighted_l1(_triplets(y), fakes, weights).mean()
            total += c.pixel * terms["pixel"]
        if c.motion:
            terms["motion"] = losses.motion(y, g).mean()
            total += c.motion * terms["motion"]
        return total, (fakes, statistics, terms)

    def discriminator_loss(params: Any, d: TrainState, w: jax.Array, y: jax.Array, fakes):
        """Eq. 10's D side, summed over the triplet; real and fake batches have own statistics."""
        real, _ = discriminate(d, params, w, y)
        fake, changed = discriminate(d, params, w, fakes)
        value = losses.least_squares_discriminator(real, fake).mean() * TRIPLET
        accuracy = jnp.mean(jnp.concatenate([real > 0.5, fake < 0.5]), dtype=jnp.float32)
        return value, (changed["batch_stats"], accuracy)

    def mix_reconstructions(frozen: Any, w: jax.Array, key: jax.Array) -> jax.Array:
        """Some triplets as the VAE gives them back: what G gets in synthesis is never sharper."""
        if not c.reconstructed:
            return w
        figures = (_triplets(w) + 1.0) / 2.0
        decoded = through_means(vae_model, frozen["vae"], figures)
        chosen = jax.random.bernoulli(key, c.reconstructed, (w.shape[0],))
        return jnp.where(chosen.reshape(-1, 1, 1, 1, 1), (decoded * 2.0 - 1.0).reshape(w.shape), w)

    def gradients_of(state: State, frozen: Any, batch: Batch, key: jax.Array):
        """Of every network, with its running averages and the terms; D sees the same fakes."""
        y = signed(batch["frames"])
        key, mix_key = jax.random.split(key)
        w = mix_reconstructions(frozen, signed(batch["figures"]), mix_key)
        d = state.networks["D"]
        params = {name: state.networks[name].params for name in state.networks if name != "D"}
        gradients, (fakes, statistics, terms) = jax.grad(generator_loss, has_aux=True)(
            params, state, frozen, w, y, batch["keypoints"], key
        )
        (d_loss, (d_statistics, accuracy)), gradients["D"] = jax.value_and_grad(
            discriminator_loss, has_aux=True
        )(d.params, d, _triplets(w), _triplets(y), jax.lax.stop_gradient(fakes))
        statistics["D"] = d_statistics
        terms |= {"discriminator": d_loss, "discriminator_accuracy": accuracy}
        return gradients, statistics, terms

    def step(state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
        key = jax.random.fold_in(state.key, state.step)
        part_of = functools.partial(gradients_of, state, frozen)
        gradients, statistics, terms = accumulate(part_of, c.accumulate, batch, key)
        networks = {
            name: network.update(optimiser, gradients[name], statistics[name])
            for name, network in state.networks.items()
        }
        norms = {f"gradient_norm_{name}": optax.tree.norm(gradients[name]) for name in networks}
        watched = {"learning_rate": rate(state.step.astype(jnp.float32)), **norms}
        state = dataclasses.replace(state, networks=networks, step=state.step + 1)
        return state, {**terms, **watched}

    def evaluate(state: State, frozen: Any, batch: Batch) -> Metrics:
        y = batch["frames"][:, -1]
        w, variables = batch["figures"][:, -1], state.networks["G"].inference_variables
        fake = render(g_model, variables, w)
        values = {"psnr": metrics.psnr(fake, y).mean(), "ssim": metrics.ssim(fake, y).mean()}
        if c.reconstructed:
            fake = render(g_model, variables, reconstruct(vae_model, frozen["vae"], w))
            values["reconstructed_psnr"] = metrics.psnr(fake, y).mean()
        return values

    render_jit = jax.jit(lambda variables, w: render(g_model, variables, w))

    def pictures(state: State, frozen: Any, batch: Batch) -> np.ndarray:
        w, y = np.asarray(batch["figures"])[:6, -1], np.asarray(batch["frames"])[:6, -1]
        return sheet([w, render_jit(state.networks["G"].inference_variables, w), y])

    return Stage(
        name="seqpix2pix",
        needs=("vae",) if c.reconstructed else (),
        batch=c.batch,
        steps=c.steps,
        init=init,
        step=step,
        evaluate=evaluate,
        pictures=pictures,
        accumulate=c.accumulate,
    )


def render(model: UNet, variables: Any, figures: Any) -> jax.Array:
    """uint8 figures to uint8 frames."""
    return to_uint8(model.apply(variables, signed(figures), train=False), low=-1.0)
