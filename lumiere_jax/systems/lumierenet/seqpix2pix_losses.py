"""SeqPix2Pix's losses: Eq. 10 to 13 with least squares, pixels and motion, and their gradients.

G draws frames. The temporal predictor P draws the last frame of a triplet from those before it. D
tells real from made frames. Figures and frames are in [-1, 1].
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from lumiere_jax import losses, vgg
from lumiere_jax.frames.discriminators import DCGANDiscriminator
from lumiere_jax.frames.generators import UNet, stack_frames
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.vae import through_means, vae_network
from lumiere_jax.systems.pictures import signed
from lumiere_jax.training.network_updates import apply_in_training
from lumiere_jax.training.stage import Batch, Metrics, TrainState

TRIPLET = 3


def generator(config: Config, size: int) -> UNet:
    """Makes the network w → y of a config; P has the same architecture."""
    c = config.seqpix2pix
    return UNet(size, c.width).clone(dtype=c.dtype)


def discriminator(config: Config, size: int) -> DCGANDiscriminator:
    """Makes D, which also reads w where it is conditional."""
    c = config.seqpix2pix
    return DCGANDiscriminator(size, c.width, c.dtype)


def triplets_joined(pictures: jax.Array) -> jax.Array:
    """Joins triplets to a batch, as G and D take them: (b, 3, …) to (3b, …)."""
    return pictures.reshape(-1, *pictures.shape[2:])


def discriminate(
    params: Any, batch_stats: Any, config: Config, w: jax.Array, y: jax.Array
) -> tuple[jax.Array, Any]:
    """Returns D's logits of frames y with figures w, and its running statistics afterwards."""
    seen = jnp.concatenate([w, y], axis=-1) if config.seqpix2pix.conditional_discriminator else y
    return apply_in_training(discriminator(config, y.shape[1]), params, batch_stats, seen)


def temporal_losses(
    params: Any, batch_stats: Any, config: Config, y: jax.Array, g: jax.Array, key: jax.Array
) -> tuple[Metrics, Any]:
    """Computes Eq. 12 and 13: L1 between triplets' last frames and P's, from G's and real pasts.

    Args:
      params: P's parameters.
      batch_stats: P's running statistics.
      config: The run's config.
      y: Real frames (b, 3, rows, cols, 3) in [-1, 1].
      g: G's frames, of the same shape.
      key: Key of P's dropout.

    Returns:
      "temporal_g" and "temporal_y", and the mean of P's running statistics after each.
    """
    model = generator(config, y.shape[2])

    def predict(past: jax.Array, key: jax.Array) -> tuple[jax.Array, Any]:
        dropout = {"dropout": key}
        return apply_in_training(model, params, batch_stats, stack_frames(past), rngs=dropout)

    # In one batch, λ2's term would reach G through the statistics that both pasts share. Under
    # vmap, products become batched ones, which are slow on a CPU.
    keys = jax.random.split(key)
    from_g, after_g = predict(g[:, :-1], keys[0])
    from_y, after_y = predict(y[:, :-1], keys[1])
    terms = {
        "temporal_g": losses.l1(y[:, -1], from_g).mean(),
        "temporal_y": losses.l1(y[:, -1], from_y).mean(),
    }
    return terms, jax.tree.map(lambda a, b: (a + b) / 2.0, after_g, after_y)


def generator_loss(
    params: Any,
    networks: Mapping[str, TrainState],
    config: Config,
    frozen: Any,
    w: jax.Array,
    y: jax.Array,
    keypoints: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, tuple[jax.Array, dict[str, Any], Metrics]]:
    """Computes G's side of Eq. 10, Eq. 11, 12 and 13, and the losses of pixels and motion.

    Args:
      params: Parameters of "G", and of "P" where there is one.
      networks: All networks, for D's parameters and all running statistics.
      config: The run's config; the weights of the terms are those of `config.seqpix2pix`.
      frozen: "vgg", VGG-19 or an empty dict.
      w: Figures (b, 3, rows, cols, 3) in [-1, 1].
      y: Their frames.
      keypoints: Keypoints of both (b, 3, 137, 3).
      key: Key of dropout.

    Returns:
      The weighted sum; and G's frames (3b, rows, cols, 3), the running statistics of G and P after
        the batch, and the terms by name.
    """
    c, size = config.seqpix2pix, y.shape[2]
    g_key, p_key = jax.random.split(key)
    batch_stats = {}
    fakes, batch_stats["G"] = apply_in_training(
        generator(config, size),
        params["G"],
        networks["G"].batch_stats,
        triplets_joined(w),
        rngs={"dropout": g_key},
    )
    d = networks["D"]
    logits, _ = discriminate(d.params, d.batch_stats, config, triplets_joined(w), fakes)
    terms = {"adversarial": losses.least_squares_generator(logits).mean() * TRIPLET}
    total = c.adversarial * terms["adversarial"]
    g = fakes.reshape(y.shape)
    if frozen["vgg"] and c.lambda0:
        phi = lambda x: vgg.features(  # noqa: E731
            frozen["vgg"], (x + 1.0) / 2.0, tuple(config.vgg_layers), c.dtype
        )
        terms["structural"] = losses.perceptual(phi(y[:, -1]), phi(g[:, -1])).mean()
        total += c.lambda0 * terms["structural"]
    if "P" in params:
        temporal, batch_stats["P"] = temporal_losses(
            params["P"], networks["P"].batch_stats, config, y, g, p_key
        )
        terms |= temporal
        total += c.lambda1 * terms["temporal_g"] + c.lambda2 * terms["temporal_y"]
    if c.pixel:
        weights = losses.region_weights(
            triplets_joined(keypoints), size, c.mouth, c.eyes, c.hands, c.face
        )
        terms["pixel"] = losses.weighted_l1(triplets_joined(y), fakes, weights).mean()
        total += c.pixel * terms["pixel"]
    if c.motion:
        terms["motion"] = losses.motion(y, g).mean()
        total += c.motion * terms["motion"]
    return total, (fakes, batch_stats, terms)


def discriminator_loss(
    params: Any, batch_stats: Any, config: Config, w: jax.Array, y: jax.Array, fakes: jax.Array
) -> tuple[jax.Array, tuple[Any, jax.Array]]:
    """Computes D's side of Eq. 10, summed over the triplet.

    BatchNorm treats real and made frames as separate batches.

    Args:
      params: D's parameters.
      batch_stats: D's running statistics.
      config: The run's config.
      w: Figures (3b, rows, cols, 3) in [-1, 1].
      y: Their frames.
      fakes: G's frames.

    Returns:
      The loss; and D's running statistics after the made batch, and its accuracy.
    """
    real, _ = discriminate(params, batch_stats, config, w, y)
    fake, after = discriminate(params, batch_stats, config, w, fakes)
    value = losses.least_squares_discriminator(real, fake).mean() * TRIPLET
    accuracy = jnp.mean(jnp.concatenate([real > 0.5, fake < 0.5]), dtype=jnp.float32)
    return value, (after, accuracy)


def mix_reconstructions(config: Config, frozen: Any, w: jax.Array, key: jax.Array) -> jax.Array:
    """Passes a share of triplets (b, 3, rows, cols, 3) through the VAE.

    In synthesis, G gets only such figures, which are never sharper.
    """
    share = config.seqpix2pix.reconstructed
    if not share:
        return w
    model = vae_network(config, w.shape[2])
    decoded = through_means(model, frozen["vae"], (triplets_joined(w) + 1.0) / 2.0)
    chosen = jax.random.bernoulli(key, share, (w.shape[0],))
    return jnp.where(chosen.reshape(-1, 1, 1, 1, 1), (decoded * 2.0 - 1.0).reshape(w.shape), w)


def gradients(
    networks: Mapping[str, TrainState], config: Config, frozen: Any, batch: Batch, key: jax.Array
) -> tuple[dict[str, Any], dict[str, Any], Metrics]:
    """Computes gradients of every network's loss, with D on the frames that G has just made.

    Args:
      networks: "G", "D", and "P" where there is one.
      config: The run's config.
      frozen: VGG-19 as "vgg", and the VAE as "vae" where triplets pass through it.
      batch: "figures" and "frames", uint8 (b, 3, rows, cols, 3), and "keypoints" (b, 3, 137, 3).
      key: Key of the choice of triplets and of dropout.

    Returns:
      Gradients and new running statistics, each by network, and the terms by name.
    """
    y = signed(batch["frames"])
    key, mix_key = jax.random.split(key)
    w = mix_reconstructions(config, frozen, signed(batch["figures"]), mix_key)
    d = networks["D"]
    params = {name: network.params for name, network in networks.items() if name != "D"}
    found, (fakes, batch_stats, terms) = jax.grad(generator_loss, has_aux=True)(
        params, networks, config, frozen, w, y, batch["keypoints"], key
    )
    (value, (batch_stats["D"], accuracy)), found["D"] = jax.value_and_grad(
        discriminator_loss, has_aux=True
    )(
        d.params,
        d.batch_stats,
        config,
        triplets_joined(w),
        triplets_joined(y),
        jax.lax.stop_gradient(fakes),
    )
    terms |= {"discriminator": value, "discriminator_accuracy": accuracy}
    return found, batch_stats, terms
