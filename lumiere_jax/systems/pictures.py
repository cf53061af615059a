"""Conversions of pictures between storage (uint8) and networks (floats)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def unit(picture: Any) -> jax.Array:
    """Converts uint8 to [0, 1]."""
    return jnp.asarray(picture).astype(jnp.float32) / 255.0


def signed(picture: Any) -> jax.Array:
    """Converts uint8 to [-1, 1]."""
    return jnp.asarray(picture).astype(jnp.float32) / 127.5 - 1.0


def to_uint8(picture: Any, *, low: float) -> jax.Array:
    """Converts [low, 1] to uint8, rounded."""
    scaled = (picture - low) * (255.0 / (1.0 - low))
    return jnp.clip(jnp.round(scaled), 0, 255).astype(jnp.uint8)


def sheet(rows: list[Any]) -> np.ndarray:
    """Joins rows of equally many pictures into one RGB picture."""
    return np.concatenate([np.concatenate(list(np.asarray(row)), axis=1) for row in rows], axis=0)
