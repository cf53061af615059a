"""Losses as pure functions: arrays in, one number per example out.

Pictures are (batch, rows, cols, channels), logits (batch,), codes (batch, code). Pictures may lie
in [0, 1] or [-1, 1], both arguments in the same range. The caller weights the terms (λ, β).
Equations are those of Kim and Ganapathi 2019, "LumièreNet", unless another paper is named.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Float

from lumiere_jax.body_parts import part_mask
from lumiere_jax.shapes import AnyArray, Code, Image, Keypoints

PerExample = Float[AnyArray, " batch"]
Logits = Float[AnyArray, " batch"]
Layer = Float[AnyArray, "batch _rows _cols _channels"]
Clip = Float[AnyArray, "batch time rows cols channels"]
Weights = Float[AnyArray, "batch rows cols 1"]


def _mean(x: jax.Array) -> jax.Array:
    return jnp.mean(x, axis=tuple(range(1, x.ndim)))


def least_squares_discriminator(real_logits: Logits, fake_logits: Logits) -> PerExample:
    """Computes ½[(D(y) - 1)² + D(G(w))²]: D's L_t of Eq. 10, as in Mao et al. 2017."""
    return 0.5 * ((real_logits - 1) ** 2 + fake_logits**2)


def least_squares_generator(fake_logits: Logits) -> PerExample:
    """Computes (D(G(w)) - 1)²: G's L_t of Eq. 10."""
    return (fake_logits - 1) ** 2


def cross_entropy_discriminator(real_logits: Logits, fake_logits: Logits) -> PerExample:
    """Computes -log D(x) - log(1 - D(G(z))): D's terms of Eq. 1 (Vougioukas et al. 2018)."""
    return jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits)


def non_saturating_generator(fake_logits: Logits) -> PerExample:
    """Computes -log D(G(z)), the non-saturating loss (Goodfellow et al. 2014).

    Its gradient does not vanish where D is sure.
    """
    return jax.nn.softplus(-fake_logits)


def l1(a: Image, b: Image) -> PerExample:
    """Computes the mean absolute difference: l_L1 of Eq. 12 and 13."""
    return _mean(jnp.abs(a - b))


def mse(a: Float[AnyArray, " batch *rest"], b: Float[AnyArray, " batch *rest"]) -> PerExample:
    """Mean squared difference, of pictures or of codes."""
    return _mean((a - b) ** 2)


def weighted_l1(a: Image, b: Image, weights: Weights) -> PerExample:
    """Averages weight times absolute difference over all pixels; weights of 1 give `l1`."""
    return _mean(weights * jnp.abs(a - b))


def weighted_mse(a: Image, b: Image, weights: Weights) -> PerExample:
    """Averages weight times squared difference over all pixels; weights of 1 give `mse`."""
    return _mean(weights * (a - b) ** 2)


def lower_half_l1(
    a: Clip, b: Clip, seen: Float[AnyArray, "batch time"], upper: float = 0.0
) -> PerExample:
    """Computes L_L1 of Eq. 2 (Vougioukas et al. 2018) as a mean over the lower half's pixels.

    The paper sums; beside such a sum with λ = 400, the adversarial terms would be negligible.

    Args:
      a: Clips.
      b: Clips.
      seen: 1 for frames that count, 0 for others; at least one counts.
      upper: Weight of the upper half's pixels; those of the lower half have weight 1.
    """
    rows, half = a.shape[2], a.shape[2] // 2
    weights = jnp.where(jnp.arange(rows) < half, jnp.float32(upper), 1.0)
    errors = jnp.mean(jnp.abs(a - b), axis=(3, 4)) * weights[None, None]
    frames = jnp.sum(errors, axis=2) / (rows - half)
    return jnp.sum(frames * seen, axis=1) / jnp.sum(seen, axis=1)


def motion(a: Clip, b: Clip) -> PerExample:
    """Computes the mean absolute difference between two clips' changes from frame to frame."""
    return _mean(jnp.abs(jnp.diff(a, axis=1) - jnp.diff(b, axis=1)))


def kl_divergence(mu: Code, logvar: Code) -> PerExample:
    """Computes KL(N(μ, σ²) ‖ N(0, 1)), summed over the code."""
    return 0.5 * jnp.sum(mu**2 + jnp.exp(logvar) - 1 - logvar, axis=-1)


def perceptual(features_a: Sequence[Layer], features_b: Sequence[Layer]) -> PerExample:
    """Sums l_L2(Φ(a), Φ(b)) of Eq. 11, a mean squared difference over H W C, over layers."""
    return sum(mse(a, b) for a, b in zip(features_a, features_b, strict=True))


def region_weights(
    keypoints: Keypoints,
    size: int,
    mouth: float,
    eyes: float,
    hands: float,
    face: float,
) -> Weights:
    """Weights pixels by the part of the person that they show.

    Args:
      keypoints: Keypoints of each picture.
      size: Rows and cols of the pictures.
      mouth: Weight in the part's boxes, see `body_parts.PARTS`; so are `eyes`, `hands` and `face`.

    Returns:
      Weights (batch, size, size, 1), 1 outside of every part. Where parts overlap, the largest
        weight counts. A part without visible keypoints adds nothing.
    """
    weights = jnp.ones((keypoints.shape[0], size, size, 1), jnp.float32)
    for part, weight in (("mouth", mouth), ("eyes", eyes), ("hands", hands), ("face", face)):
        inside = part_mask(keypoints, (size, size), part)
        weights = jnp.where(inside, jnp.maximum(weights, jnp.float32(weight)), weights)
    return weights
