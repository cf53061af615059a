"""The stored dataset: its description, and access to its records and sound."""

import contextlib
import functools
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from lumiere_jax.audio.features import CLIP, FILTERS, loudness_gain
from lumiere_jax.audio.frame_times import RATE, frame_start
from lumiere_jax.audio.front_ends import FrontEnd, log_mel, rows_of
from lumiere_jax.errors import UserError
from lumiere_jax.files import read_json
from lumiere_jax.inputs.dataset.description import ROWS, Description, describe_columns, described
from lumiere_jax.inputs.dataset.records import Records
from lumiere_jax.inputs.dataset.segments import Segment, check_segments, same_voice

DESCRIPTION = "dataset.json"
# Up to format 3, datasets describe no columns, and store the log-mel row of every frame.
FORMAT, LAST_WITH_ROWS = 4, 3
# Samples read at a time.
BLOCK = 10 * RATE


@dataclass(frozen=True, kw_only=True)
class Dataset(Description):
    """A dataset's description (`dataset.json`), its folder and its segments."""

    folder: Path
    segments: tuple[Segment, ...]

    def frames(self, split: str) -> int:
        """Returns the number of frames in a split."""
        return sum(s.frames for s in self.segments if s.split == split)

    def records(self, split: str) -> Records:
        """Opens a split's examples for random access, with pictures still encoded.

        Raises:
          UserError: they are missing or incomplete.
        """
        # TFDS takes a second to import, and synthesis reads no records.
        from lumiere_jax.inputs.dataset.builder import records

        try:
            source = records(self.folder, split, self.columns)
            if len(source) != self.frames(split):
                raise ValueError(f"{len(source)} of {self.frames(split)} are there")
            _ = source[0], source[len(source) - 1]
        except UserError:
            raise
        except Exception as error:  # TFDS and array_record raise errors of any type
            raise UserError(
                f"{self.folder}: the records of its '{split}' split cannot be read; "
                "make the dataset anew with prepare.py."
            ) from error
        return source

    def rows(self, front_end: FrontEnd, split: str) -> np.ndarray:
        """Returns the rows of `heard` for a split's segments, concatenated."""
        own = [segment for segment in self.segments if segment.split == split]
        return np.concatenate([self.heard(front_end, segment) for segment in own])

    def heard(self, front_end: FrontEnd, segment: Segment) -> np.ndarray:
        """Returns the feature rows (rows, *shape) that cover a segment, its voice at -26 dBFS.

        They are computed from the stored sound. Datasets of an older format store log-mel rows,
        which are returned for that front end.

        Raises:
          UserError: the sound, or a record, is damaged.
        """
        if ROWS in self.columns and front_end == log_mel(self.fps):
            records = self.records(segment.split)
            own = range(segment.offset, segment.offset + segment.frames)
            return np.stack([records[i][ROWS.name] for i in own])
        rows = front_end.rows(frame_start(segment.frames, self.fps))
        return rows_of(front_end, self._blocks(segment), rows, self.gain(segment))

    def _blocks(self, segment: Segment) -> Iterator[np.ndarray]:
        """Yields a segment's sound in pieces."""
        with _opened(self.folder / segment.sound) as file:
            yield from file.blocks(BLOCK, dtype="float32")

    def sound(self, segment: Segment, frames: int) -> Float[np.ndarray, "samples 1"]:
        """Reads the sound of a segment's first frames, at 16 kHz.

        Raises:
          UserError: the sound is damaged.
        """
        return self.samples(segment, 0, frame_start(frames, self.fps, RATE))[:, None]

    def samples(self, segment: Segment, start: int, stop: int) -> Float[np.ndarray, " samples"]:
        """Samples `start` to `stop` - 1 of a segment's sound, at 16 kHz, which is silent before its
        first and past its last; UserError where it is damaged."""
        with _opened(self.folder / segment.sound) as file:
            first = min(max(start, 0), file.frames)
            file.seek(first)
            read = file.read(max(stop, first) - first, dtype="float32")
        before = min(max(-start, 0), stop - start)
        return np.pad(read, (before, stop - start - before - len(read)))

    def gain(self, segment: Segment) -> float:
        """The factor that brings a segment's voice to the loudness at which it is heard."""
        paths = [self.folder / s.sound for s in same_voice(self.segments, segment)]
        return _gain(*((path, _version(path)) for path in paths))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens a segment's sound; raises UserError if it is damaged, also while it is read."""
    import soundfile  # datasets drawn into memory do without it

    place: Any = os.fsencode(path)  # a name may lie outside UTF-8
    try:
        with soundfile.SoundFile(place) as file:
            if (file.format, file.samplerate, file.channels) != ("FLAC", RATE, 1):
                raise ValueError(f"it is no mono FLAC at {RATE} Hz")
            yield file
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): make the dataset anew with prepare.py."
        ) from error


def _version(path: Path) -> tuple[int, int]:
    """What tells a file from an earlier one of its name."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0  # reading it says what is wrong
    return stat.st_size, stat.st_mtime_ns


@functools.cache
def _gain(*versions: tuple[Path, tuple[int, int]]) -> float:
    def blocks() -> Iterator[np.ndarray]:
        for path, _ in versions:
            with _opened(path) as file:
                yield from file.blocks(BLOCK, dtype="float32")

    return loudness_gain(blocks())


def statistics(rows: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Computes mean and standard deviation (feature,) of pieces (n, feature), summed in float64."""
    count, total, squares = 0, 0.0, 0.0
    for piece in rows:
        wide = piece.astype(np.float64)
        count += len(wide)
        total = total + wide.sum(0)
        squares = squares + (wide**2).sum(0)
    mean = np.asarray(total / count)
    # A constant filter (digital silence) must not divide by zero.
    std = np.sqrt(np.maximum(squares / count - mean**2, 1 / CLIP**2))
    return mean.astype(np.float32), std.astype(np.float32)


def unmeasured(**fields: Any) -> Dataset:
    """Makes a dataset of these fields, with placeholders for its statistics."""
    return Dataset(mean=np.zeros(FILTERS), std=np.ones(FILTERS), **fields)


def with_statistics(dataset: Dataset) -> Dataset:
    """Returns the dataset with the statistics of its training split's log-mel rows."""
    train = (segment for segment in dataset.segments if segment.split == "train")
    mean, std = statistics(dataset.heard(log_mel(dataset.fps), segment) for segment in train)
    return replace(dataset, mean=mean, std=std)


def write_description(dataset: Dataset) -> None:
    """Writes `dataset.json` into the dataset's folder."""
    values = {
        "format": FORMAT,
        "size": dataset.size,
        "fps": str(dataset.fps),
        "figure": dataset.figure,
        **describe_columns(dataset),
        "drawn_seed": dataset.drawn_seed,
        "consent": dataset.consent,
        "mean": dataset.mean.tolist(),
        "std": dataset.std.tolist(),
        "segments": [
            {name: value for name, value in asdict(segment).items() if value is not None}
            for segment in dataset.segments
        ],
    }
    (dataset.folder / DESCRIPTION).write_text(json.dumps(values, indent=1) + "\n")


def open_dataset(folder: Path) -> Dataset:
    """Reads a dataset's description.

    Raises:
      UserError: the folder holds no dataset, or one that this version cannot read.
    """
    path = folder / DESCRIPTION
    try:
        values = read_json(path)
        if values["format"] > FORMAT:
            raise UserError(
                f"{path} is of a later lumiere_jax (format {values['format']}, not {FORMAT}): "
                "update lumiere_jax, or make the dataset anew with prepare.py."
            )
        if values["format"] not in range(1, FORMAT + 1):
            raise ValueError(f"its format is {values['format']!r}, not 1 to {FORMAT}")
        if values["format"] > LAST_WITH_ROWS and "columns" not in values:
            raise ValueError("it describes no columns")
        segments = tuple(Segment(**s) for s in values["segments"])
        check_segments(segments)
        return Dataset(folder=folder, segments=segments, **described(values))
    except OSError as error:
        raise UserError(
            f"{folder} holds no dataset ({DESCRIPTION} cannot be read): make one with prepare.py."
        ) from error
    except (ValueError, KeyError, TypeError, ArithmeticError, AttributeError) as error:
        raise UserError(
            f"{path} is not a dataset's description ({error}): make it anew with prepare.py."
        ) from error
