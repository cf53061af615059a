"""Names of array shapes. Image axes are `rows cols`, because `w` is the pose figure."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float, UInt8

if TYPE_CHECKING:
    # Shapes and kinds of arrays are checked at run time, not by the type checker.
    AnyArray = Any
else:
    AnyArray = jax.Array | np.ndarray

Waveform = Float[AnyArray, " samples"]
"""Mono, 16 kHz, in [-1, 1]."""
Chunk = Float[AnyArray, " _"]
"""A piece of a waveform; pieces differ in length."""
Features = Float[AnyArray, "*time feature"]
"""Normalised log-mel energies, one row a video frame."""
Code = Float[AnyArray, "*batch code"]
Keypoints = Float[AnyArray, "*time 137 3"]
"""x and y in units of the picture (0 to 1, rightwards and downwards), confidence 0 to 1.

`lumiere_jax.keypoints` has their order.
"""
Image = Float[AnyArray, "*batch rows cols channels"]
Picture = UInt8[np.ndarray, "rows cols 3"]
"""One RGB picture as it is stored and shown, 0 to 255."""
Scalar = Float[AnyArray, ""]
