"""A prepared clip: a folder of its columns, frame by frame, and its sound.

The dataset's builder reads it, so footage is decoded and posed once, whatever the splits.
Everything is written and read in order: memory does not grow with a clip's length.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumiere_jax.audio.frame_times import RATE, frame_start
from lumiere_jax.inputs.dataset.columns import Column, Moment, numbers, pictures
from lumiere_jax.inputs.dataset.segments import Segment

# Each frame's encoded pictures, where each of them ends, its numbers, and 16 kHz mono.
PICTURES, ENDS, NUMBERS, SOUND = "pictures.bin", "ends.i64", "numbers.bin", "sound.f32"
# For footage, the code of each frame, a byte each: see `left_out_frames`.
LEFT_OUT = "left_out.u8"
_TRACKS = (PICTURES, ENDS, NUMBERS)

Add = Callable[[Sequence[bytes], bytes], None]
"""Adds a frame's encoded pictures, and the bytes of its numbers."""


def write_clip(
    folder: Path,
    columns: Sequence[Column],
    moments: Iterable[Moment],
    sound: Iterable[np.ndarray],
) -> None:
    """Writes a clip into a new folder; `sound` is mono, 16 kHz."""
    folder.mkdir()
    with written(folder) as add:
        for moment in moments:
            add(*encode(columns, moment))
    _write_sound(folder, sound)


def encode(columns: Sequence[Column], moment: Moment) -> tuple[list[bytes], bytes]:
    """Encodes a frame: its pictures, and the bytes of its numbers."""
    encoded = [column.encode(moment) for column in pictures(columns)]
    return encoded, b"".join(column.encode(moment) for column in numbers(columns))


def empty(columns: Sequence[Column]) -> tuple[list[bytes], bytes]:
    """Returns what is stored in place of a left-out frame."""
    return [b""] * len(pictures(columns)), bytes(sum(c.size for c in numbers(columns)))


def join(folder: Path, parts: Iterable[Path], sound: Iterable[np.ndarray]) -> None:
    """Concatenates the folders of a clip's parts, in their order, and adds the clip's sound."""
    end = 0
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(open(folder / name, "wb")) for name in _TRACKS}
        for part in parts:
            for name in (PICTURES, NUMBERS):
                with open(part / name, "rb") as source:
                    shutil.copyfileobj(source, files[name])
            files[ENDS].write((np.fromfile(part / ENDS, "<i8") + end).tobytes())
            end = files[PICTURES].tell()
    _write_sound(folder, sound)


def _write_sound(folder: Path, sound: Iterable[np.ndarray]) -> None:
    with open(folder / SOUND, "wb") as track:
        for piece in sound:
            track.write(np.asarray(piece, "<f4").tobytes())


@contextlib.contextmanager
def written(folder: Path) -> Iterator[Add]:
    """Opens a folder's files and yields the function that adds frames, in order."""
    with contextlib.ExitStack() as stack:
        stored, ends, rest = (stack.enter_context(open(folder / name, "wb")) for name in _TRACKS)

        def add(encoded: Sequence[bytes], values: bytes) -> None:
            for data in encoded:
                stored.write(data)
                ends.write(np.int64(stored.tell()).tobytes())
            rest.write(values)

        yield add


def read_pictures(folder: Path, first: int, count: int) -> Iterator[bytes]:
    """Yields `count` encoded pictures of a folder from number `first` on, as they were added."""
    with open(folder / PICTURES, "rb") as stored, open(folder / ENDS, "rb") as ends:
        # A picture begins where the one before it ends; the clip's first begins at 0.
        ends.seek(8 * max(first - 1, 0))
        end = int.from_bytes(ends.read(8), "little") if first else 0
        stored.seek(end)
        for _ in range(count):
            stop = int.from_bytes(ends.read(8), "little")
            yield stored.read(stop - end)
            end = stop


def read_sound(folder: Path, first: int, frames: int, fps: Fraction) -> Iterator[np.ndarray]:
    """Yields the sound of frames `first` to `first + frames` - 1 in pieces of a second or less.

    It is padded with silence at the end.
    """
    start, stop = frame_start(first, fps, RATE), frame_start(first + frames, fps, RATE)
    with open(folder / SOUND, "rb") as track:
        track.seek(4 * start)
        for begin in range(start, stop, RATE):
            wanted = min(RATE, stop - begin)
            samples = np.frombuffer(track.read(4 * wanted), "<f4")
            yield np.pad(samples, (0, wanted - len(samples)))


def read_examples(
    folder: Path, columns: Sequence[Column], first: int, frames: int
) -> Iterator[dict[str, Any]]:
    """Yields each frame's columns by name: pictures encoded, numbers as arrays."""
    stored, rest = pictures(columns), numbers(columns)
    size = sum(column.size for column in rest)
    encoded = read_pictures(folder, len(stored) * first, len(stored) * frames)
    with open(folder / NUMBERS, "rb") as values:
        values.seek(size * first)
        for _ in range(frames):
            example: dict[str, Any] = {column.name: next(encoded) for column in stored}
            data, place = values.read(size), 0
            for column in rest:
                dtype = np.dtype(column.dtype).newbyteorder("<")
                own = np.frombuffer(data, dtype, column.size // dtype.itemsize, place)
                example[column.name] = own.reshape(column.shape)[()]
                place += column.size
            yield example


def read_segment(
    archives: Path, columns: tuple[Column, ...], segment: Segment
) -> Iterator[tuple[int, dict]]:
    """Yields the examples of a segment, with their keys."""
    examples = read_examples(archives / segment.clip, columns, segment.first, segment.frames)
    for t, example in enumerate(examples):
        yield segment.offset + t, example
