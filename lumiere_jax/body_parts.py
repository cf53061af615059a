"""Boxes and masks of a person's parts in a picture, from keypoints."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from lumiere_jax.keypoints import (
    LANDMARKS,
    LEFT_EYE,
    LEFT_HAND,
    LIPS,
    RIGHT_EYE,
    RIGHT_HAND,
    of_person,
)
from lumiere_jax.shapes import AnyArray, Keypoints

# Keypoints of each box, and the margin around them as a fraction of their longer side.
PARTS = {
    "mouth": ((of_person(LIPS), 0.25),),
    "eyes": ((of_person(RIGHT_EYE), 0.35), (of_person(LEFT_EYE), 0.35)),
    "hands": ((LEFT_HAND, 0.15), (RIGHT_HAND, 0.15)),
    "face": ((of_person(LANDMARKS), 0.1),),
}


def part_boxes(keypoints: Keypoints, part: str) -> Float[AnyArray, "batch boxes 2 2"]:
    """Returns the corners of a part's boxes, in units of the picture.

    Args:
      keypoints: Only points of confidence over 0.1 count.
      part: A name in `PARTS`.

    Returns:
      (left, top) and (right, bottom) of each box; inf and -inf where none of its points counts.
    """
    boxes = []
    for own, margin in PARTS[part]:
        points = jnp.asarray(keypoints[:, own])
        xy, seen = points[..., :2], points[..., 2:] > 0.1
        low = jnp.min(jnp.where(seen, xy, jnp.inf), axis=1)
        high = jnp.max(jnp.where(seen, xy, -jnp.inf), axis=1)
        edge = margin * jnp.max(high - low, axis=-1, keepdims=True)
        boxes.append(jnp.stack([low - edge, high + edge], axis=1))
    return jnp.stack(boxes, axis=1)


def part_mask(
    keypoints: Keypoints, shape: tuple[int, int], part: str
) -> Bool[AnyArray, "batch rows cols 1"]:
    """Marks pixels with centres in a part's boxes, for pictures of `shape` (rows, cols)."""
    boxes = part_boxes(keypoints, part)[:, :, :, None]

    def inside(pixels: int, axis: int) -> jax.Array:
        centres = ((jnp.arange(pixels, dtype=boxes.dtype) + 0.5) / pixels)[None, None, :]
        return (centres >= boxes[:, :, 0, :, axis]) & (centres <= boxes[:, :, 1, :, axis])

    rows, cols = inside(shape[0], 1), inside(shape[1], 0)
    return jnp.any(rows[:, :, :, None] & cols[:, :, None], axis=1)[..., None]
