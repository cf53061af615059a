"""Front ends: compute rows of a model's input from sound, at a rate of their own.

A front end computes each row from a fixed stretch of sound around the row's own sample. Sound comes
in pieces of any length. Where it is cut changes nothing, and memory does not grow with its length.
Before the sound's first sample and after its last there is silence.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float, Int

from lumiere_jax.audio import encoders, features
from lumiere_jax.audio.frame_times import RATE, frame_start, frames_covering
from lumiere_jax.shapes import AnyArray, Chunk

Apply = Callable[[np.ndarray, np.ndarray], AnyArray]


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """A computation of rows from sound.

    Row r's own sample is floor(16000 · r / rate), or floor(16000 · (r + ½) / rate) where rows are
    `centred`. It is computed in integers, so that rows of an hour stay within a sample.

    Attributes:
      name: Its name in datasets and workdirs.
      rate: Rows per second.
      before: Samples that a row reads before its own.
      after: Samples that a row reads from its own on.
      shape: Shape of a row.
      apply: `apply(samples, starts)` computes a block of rows, whose own samples are
        `samples[before + starts]`. The number of samples is the same in every call.
      block: Number of rows that are computed at once; the first block begins with row 0.
      centred: Whether a row's own sample lies in the middle of its time instead of at its start.
    """

    name: str
    rate: Fraction
    before: int
    after: int
    shape: tuple[int, ...]
    apply: Apply
    block: int = 1
    centred: bool = False

    def start(self, row: int) -> int:
        """Returns a row's own sample."""
        row, rate = (2 * row + 1, 2 * self.rate) if self.centred else (row, self.rate)
        return frame_start(row, rate)

    def row_at(self, frame: int, fps: Fraction) -> int:
        """The row that contains the middle of a frame: floor((frame + ½) · rate / fps)."""
        fraction = (2 * frame + 1) * self.rate / (2 * fps)
        return fraction.numerator // fraction.denominator

    def rows(self, samples: int) -> int:
        """Returns the fewest rows whose time covers every sample."""
        return frames_covering(samples, self.rate)


def stream(
    front_end: FrontEnd, chunks: Iterable[Chunk], rows: int, gain: float = 1.0
) -> Iterator[np.ndarray]:
    """Computes rows 0 to `rows` - 1 of sound in pieces, a block at a time.

    Args:
      front_end: The front end.
      chunks: Mono sound of 16 kHz.
      rows: Number of rows.
      gain: Factor on the sound.

    Yields:
      float32 (n, *shape), n at most the front end's block.
    """
    chunks, block = iter(chunks), front_end.block
    between = RATE * block * front_end.rate.denominator // front_end.rate.numerator + 2
    length = front_end.before + between + front_end.after
    begin = min(front_end.start(0) - front_end.before, 0)
    held = np.zeros(-begin, np.float32)
    for first in range(0, rows, block):
        own = front_end.start(first)
        skipped = own - front_end.before - begin
        while len(held) < skipped + length:
            piece = next(chunks, None)
            if piece is None:
                held = np.pad(held, (0, skipped + length - len(held)))
            else:
                held = np.concatenate([held, np.asarray(piece, np.float32)])
        held, begin = held[skipped:], begin + skipped
        starts = np.array([front_end.start(first + i) - own for i in range(block)])
        made = np.asarray(front_end.apply(held[:length] * np.float32(gain), starts), np.float32)
        yield made[: rows - first]


def rows_of(
    front_end: FrontEnd, chunks: Iterable[Chunk], rows: int, gain: float = 1.0
) -> np.ndarray:
    """Returns all rows of `stream` at once, float32 (rows, *shape)."""
    blank = np.zeros((0, *front_end.shape), np.float32)
    return np.concatenate([blank, *stream(front_end, chunks, rows, gain)])


def log_mel(rate: Fraction) -> FrontEnd:
    """Makes the front end of 40 log-mel energies in the 44 ms from a row's own sample on."""
    return FrontEnd(
        name="log_mel",
        rate=rate,
        before=1,  # pre-emphasis looks one sample back
        after=features.WINDOW,
        shape=(features.FILTERS,),
        apply=features.log_mel,
        block=90,
    )


def waveform(rate: Fraction) -> FrontEnd:
    """Makes the front end of the 0.16 s of sound around a row's middle, see `encoders`."""
    return FrontEnd(
        name="waveform",
        rate=rate,
        before=encoders.WINDOW // 2,
        after=encoders.WINDOW // 2,
        shape=(encoders.WINDOW,),
        apply=_cut,
        block=8,
        centred=True,
    )


def _cut(
    samples: Float[np.ndarray, " samples"], starts: Int[np.ndarray, " rows"]
) -> Float[np.ndarray, "rows 2560"]:
    return samples[starts[:, None] + np.arange(encoders.WINDOW)]
