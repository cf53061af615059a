"""What datasets, and workdirs that were trained on them, say of their data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from lumiere_jax.audio.features import FILTERS
from lumiere_jax.inputs.dataset.columns import (
    APERTURE,
    FIGURE,
    FRAME,
    KEYPOINTS,
    Column,
    read_columns,
)
from lumiere_jax.inputs.dataset.consent import missing_fields
from lumiere_jax.inputs.dataset.geometry import GEOMETRIES, SIZES, SQUARE, Geometry

SLOWEST, FASTEST = 5, 120
ROWS = Column(name="features", shape=(FILTERS,))


@dataclass(frozen=True, kw_only=True)
class Description:
    """Description of the data of a dataset, or of a workdir trained on it.

    Attributes:
      size: Rows of pictures.
      fps: Frames a second.
      figure: Scheme of the pose figures; networks trained on one scheme fit no other.
      mean: Means of the training split's log-mel energies, (40,).
      std: Standard deviations of the same, (40,).
      geometry: Framing of the pictures.
      columns: What is stored of every frame.
      consent: The speakers' record of consent.
      drawn_seed: Seed of a drawn lecturer; None for footage.
    """

    size: int
    fps: Fraction
    figure: str
    mean: np.ndarray
    std: np.ndarray
    geometry: Geometry
    columns: tuple[Column, ...]
    consent: dict[str, Any] = field(default_factory=dict)
    drawn_seed: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and cols of a picture."""
        return self.geometry.shape(self.size)

    def column(self, name: str) -> Column:
        """Returns a column by its name; raises KeyError if there is none."""
        return {column.name: column for column in self.columns}[name]


def figure_scheme(source: str, explicit: bool) -> str:
    """Returns a dataset's name for its figures; networks trained on one scheme fit no other."""
    return source if explicit else f"plain {source}"


def describe_columns(data: Description) -> dict[str, Any]:
    """Returns the geometry and the columns of data, for JSON."""
    columns = [column.described() for column in data.columns]
    return {"geometry": data.geometry.name, "columns": columns}


def _columns_before(figure: str) -> tuple[Geometry, tuple[Column, ...]]:
    """Returns the geometry and the columns of datasets that do not describe them."""
    geometry = next((g for g in GEOMETRIES.values() if g.scheme == figure), SQUARE)
    pictures = (FRAME,) if geometry.scheme else (FRAME, FIGURE)
    return geometry, (*pictures, KEYPOINTS, APERTURE, ROWS)


def described(values: Mapping[str, Any]) -> dict[str, Any]:
    """Checks and returns what datasets and workdirs both state about their data.

    Raises:
      ValueError, KeyError, TypeError or ArithmeticError: a value is invalid.
    """
    size, fps, seed = values["size"], values["fps"], values["drawn_seed"]
    if type(size) is not int or size not in SIZES:
        raise ValueError(f"its size is {size!r}, none of {', '.join(map(str, SIZES))}")
    # As a fraction, 1e999999999 alone would take all memory.
    if not re.fullmatch(r"\d{1,20}(/\d{1,20})?", fps) or not SLOWEST <= Fraction(fps) <= FASTEST:
        raise ValueError(f"its fps is {fps!r}, not {SLOWEST} to {FASTEST}")
    if not isinstance(values["figure"], str):
        raise ValueError("its figure is no text")
    geometry, columns = _columns_before(values["figure"])
    if "columns" in values:
        geometry, columns = GEOMETRIES[values["geometry"]], read_columns(values["columns"])
    if size not in geometry.sizes:
        raise ValueError(f"its size is {size}, none of {', '.join(map(str, geometry.sizes))}")
    if lacking := next(missing_fields(values["consent"]), None):
        raise ValueError(f"its consent does not say {lacking}")
    if seed is not None and (type(seed) is not int or not 0 <= seed < 2**63):
        raise ValueError(f"its drawn_seed is {seed!r}")
    known = {name: values[name] for name in ("size", "figure", "consent", "drawn_seed")}
    known |= {"fps": Fraction(fps), "geometry": geometry, "columns": columns}
    for name, least in (("mean", -1e6), ("std", 0)):
        numbers = np.array(values[name], np.float64)
        if numbers.shape != (FILTERS,) or not ((least < numbers) & (numbers < 1e6)).all():
            raise ValueError(f"its {name} is not {FILTERS} numbers that can be")
        known[name] = numbers.astype(np.float32)
    return known
