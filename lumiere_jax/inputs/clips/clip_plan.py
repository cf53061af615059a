"""Plan of a clip's preparation: its pieces, its poses and its settings.

A clip is cut into pieces of about ten seconds, which are posed independently. Each piece's
estimator starts a second early, and the poses of that second are discarded. The cuts depend on the
clip alone, so its figures do not depend on which workers make them, or on how many:

    pose      a piece    decode, estimate, encode the frames          (posed_pieces.py)
    settle    a clip     choose the person, fill gaps from both sides (settling.py)
    draw      a piece    draw and encode the figures                  (archived_pieces.py)

Each step leaves a folder, which appears only when it is complete.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lumiere_jax.files import put_in_place
from lumiere_jax.inputs.dataset.columns import FIGURE, Column
from lumiere_jax.inputs.dataset.geometry import Geometry
from lumiere_jax.inputs.footage import probing
from lumiere_jax.inputs.media import upright_pictures

Source = Literal["mediapipe", "densepose", "openpose"]
Tick = Callable[[int], Any]
Piece = tuple[int, int]
"""The first frame, and the one after the last."""
Busy = dict[str, float]
"""Seconds on one core by part: decode, estimate, draw, write."""

PIECE_SECONDS, WARM_UP_SECONDS = 10, 1
# Largest side, in pixels, of pictures that faces are cut out of.
MOST_PIXELS = 1080


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A clip and the settings that determine its archive.

    `poses` is the folder of its poses, where these do not come from MediaPipe.
    """

    clip: probing.Clip
    figure: Source
    size: int
    fps: Fraction
    geometry: Geometry
    columns: tuple[Column, ...]
    crop: upright_pictures.Crop | None = None
    poses: Path | None = None
    explicit: bool = True

    @property
    def name(self) -> str:
        """Name of its archive and its sound."""
        return self.clip.name or self.clip.path.stem

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.clip.frames(self.fps)

    @property
    def square(self) -> tuple[int, int, int]:
        """x, y and side of the crop of the upright picture."""
        if self.crop is not None:
            return self.crop.x, self.crop.y, self.crop.side
        side = min(self.clip.rows, self.clip.cols)
        return (self.clip.cols - side) // 2, (self.clip.rows - side) // 2, side

    @property
    def side(self) -> int:
        """Side, in pixels, of the pictures stored until drawing.

        Faces are cut out at the footage's own resolution, up to `MOST_PIXELS`.
        """
        return min(self.square[2], MOST_PIXELS) if self.geometry.aligned else self.size

    @property
    def has_figures(self) -> bool:
        """Whether pose figures are drawn."""
        return any(column.name == FIGURE.name for column in self.columns)

    @property
    def pieces(self) -> list[Piece]:
        """Equal pieces of about ten seconds; one where decoding cannot begin in the middle."""
        count, seconds = self.frames, self.frames / self.fps
        number = max(1, round(seconds / PIECE_SECONDS))
        if self.clip.entry > 2 * PIECE_SECONDS:
            number = 1
        cuts = [count * i // number for i in range(number + 1)]
        return list(zip(cuts, cuts[1:], strict=False))

    def warm_up(self, piece: Piece) -> int:
        """Returns how many frames before a piece its estimator begins."""
        return min(piece[0], math.ceil(WARM_UP_SECONDS * self.fps))


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """Yields a new folder that gets its final name only if the block succeeds.

    Where two processes make the same folder, such as an abandoned worker and its replacement, the
    first wins. The parent folder must exist: creating it would hide that its disk was removed.
    """
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
    ) as made:
        yield Path(made)
        try:
            put_in_place(Path(made), folder)
        except OSError:
            if not folder.is_dir():
                raise


def spend(busy: Busy, part: str, seconds: float) -> None:
    """Adds seconds to a part's total."""
    busy[part] = busy.get(part, 0.0) + seconds


def timed(items: Iterable, busy: Busy, part: str) -> Iterator[Any]:
    """Yields the items and adds this thread's CPU seconds for each to a part's total."""
    iterator = iter(items)
    while True:
        begin = time.thread_time()
        try:
            item = next(iterator)
        except StopIteration:
            return
        finally:
            spend(busy, part, time.thread_time() - begin)
        yield item


def write_numbers(path: Path, numbers: np.ndarray) -> None:
    """Writes an array's raw bytes, without its dtype and shape."""
    path.write_bytes(np.ascontiguousarray(numbers).tobytes())
