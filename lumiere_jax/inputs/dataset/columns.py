"""Columns of a dataset: the data stored of every frame, and how they are computed.

A column is a picture of the dataset's geometry, or an array of numbers. Workers fill columns from a
`Moment`, a frame at a time. A system names the columns that it learns from, and may add its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from operator import attrgetter
from typing import Any

import numpy as np

from lumiere_jax.inputs.media.picture_bytes import encode_jpeg, encode_png
from lumiere_jax.keypoints import POINTS
from lumiere_jax.shapes import Keypoints, Picture

DTYPES = ("float32", "float16", "uint8", "int32", "int64")
# Names that batches, and the log-mel rows of older datasets, have.
RESERVED = ("index", "features")
# Numbers of a frame's array at most: a description that says more is damaged.
MOST_NUMBERS = 2**20


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A frame of a clip, from which columns are filled.

    Attributes:
      keypoints: (137, 3) in units of the picture; zeros where the source has none.
      draw_frame: Makes the frame, uint8 (rows, cols, 3) of the dataset's geometry.
      figure: Pose figure of the same shape, where a column needs it.
      aperture: True opening of the mouth; NaN if unknown.
      jpeg: The frame as JPEG, if it is encoded already.
    """

    keypoints: Keypoints
    draw_frame: Callable[[], Picture]
    figure: Picture | None = None
    aperture: float = float("nan")
    jpeg: bytes | None = None

    @cached_property
    def frame(self) -> Picture:
        """The frame, made once."""
        return self.draw_frame()


@dataclass(frozen=True, kw_only=True)
class Column:
    """An array stored for every frame.

    Attributes:
      name: Its name in records.
      shape: Shape of a frame's array; for pictures, the geometry gives it.
      dtype: Of the array, one of `DTYPES`.
      encoding: "jpeg" or "png" for pictures, empty for numbers.
      fill: `fill(moment)` computes a frame's array, in a worker. It is a function of a module, so
        that workers can import it; None for a column that is only read.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    encoding: str = ""
    fill: Callable[[Moment], Any] | None = None

    @property
    def is_picture(self) -> bool:
        """Whether it holds pictures of the dataset's geometry."""
        return bool(self.encoding)

    @property
    def size(self) -> int:
        """Bytes of a frame's numbers."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    def encode(self, moment: Moment) -> bytes:
        """Returns a frame's array in its stored form.

        Raises:
          ValueError: `fill` made an array of another shape.
        """
        if self.fill is frame_of and self.encoding == "jpeg" and moment.jpeg is not None:
            return moment.jpeg
        assert self.fill is not None
        value = self.fill(moment)
        if self.is_picture:
            return ENCODERS[self.encoding](value)
        array = np.asarray(value, np.dtype(self.dtype).newbyteorder("<"))
        if array.shape != self.shape:
            raise ValueError(
                f"column {self.name!r} was filled with {array.shape}, not {self.shape}"
            )
        return array.tobytes()

    def described(self) -> dict[str, Any]:
        """Returns the column's entry in `dataset.json`."""
        if self.is_picture:
            return {"name": self.name, "encoding": self.encoding}
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}


ENCODERS = {"jpeg": encode_jpeg, "png": encode_png}


def frame_of(moment: Moment) -> Picture:
    """Returns the frame itself."""
    return moment.frame


FRAME = Column(name="frame", encoding="jpeg", fill=frame_of)
# Figures are labels, so they must come back exactly.
FIGURE = Column(name="figure", encoding="png", fill=attrgetter("figure"))
KEYPOINTS = Column(name="keypoints", shape=(POINTS, 3), fill=attrgetter("keypoints"))
APERTURE = Column(name="aperture", fill=attrgetter("aperture"))


def pictures(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Returns the columns that hold pictures, in their order."""
    return tuple(column for column in columns if column.is_picture)


def numbers(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Returns the columns that hold numbers, in their order."""
    return tuple(column for column in columns if not column.is_picture)


def read_columns(described: Any) -> tuple[Column, ...]:
    """Reads the columns that a `dataset.json` describes.

    Raises:
      ValueError, KeyError or TypeError: the description is invalid.
    """
    if not isinstance(described, list) or not all(isinstance(v, dict) for v in described):
        raise ValueError("its columns are no list of descriptions")
    columns = []
    for values in described:
        name, encoding = values["name"], values.get("encoding", "")
        if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
            raise ValueError(f"{name!r} is no column's name")
        if encoding:
            if encoding not in ENCODERS:
                raise ValueError(f"column {name!r} is encoded as {encoding!r}")
            columns.append(Column(name=name, encoding=encoding))
            continue
        shape, dtype = tuple(values["shape"]), values["dtype"]
        whole = all(type(n) is int and 0 < n <= MOST_NUMBERS for n in shape)
        if dtype not in DTYPES or not whole or len(shape) > 4 or prod(shape) > MOST_NUMBERS:
            raise ValueError(f"column {name!r} cannot have shape {shape} of {dtype!r}")
        columns.append(Column(name=name, shape=shape, dtype=dtype))
    if len({column.name for column in columns}) < len(columns):
        raise ValueError("two of its columns have one name")
    if not columns:
        raise ValueError("it has no columns")
    return tuple(columns)
