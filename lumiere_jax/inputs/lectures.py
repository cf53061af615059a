"""The dataset at rest: what stands beside its records, and how they are cut and read."""

import contextlib
import functools
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from lumiere_jax.audio.features import (
    CLIP,
    FILTERS,
    RATE,
    extract,
    frame_start,
    loudness_gain,
    normalise,
)
from lumiere_jax.errors import UserError
from lumiere_jax.files import read_json
from lumiere_jax.inputs import archive
from lumiere_jax.inputs.consent import missing_fields
from lumiere_jax.inputs.records import Records
from lumiere_jax.inputs.segments import Segment, check_segments, same_voice

SIZES = (64, 128, 256, 512, 1024)
SMALLEST_FACE = 128
SLOWEST, FASTEST = 5, 120
DESCRIPTION = "dataset.json"
FORMAT = 3
# What a dataset of aligned faces calls its figures, of which it has none.
ALIGNED_FACE = "aligned face"


@dataclass(frozen=True, kw_only=True)
class Description:
    """What datasets, and what is trained on them, say of their data. `size` is rows of pictures."""

    size: int
    fps: Fraction
    figure: str
    mean: np.ndarray
    std: np.ndarray
    consent: dict[str, Any] = field(default_factory=dict)
    drawn_seed: int | None = None

    @property
    def aligned(self) -> bool:
        """Whether pictures are aligned faces, without figures."""
        return self.figure == ALIGNED_FACE

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and cols of a picture."""
        return picture_shape(self.size, self.figure)


def picture_shape(size: int, figure: str) -> tuple[int, int]:
    """Rows and cols of pictures of `size`: square, and of faces three quarters as wide as high."""
    return size, size * 3 // 4 if figure == ALIGNED_FACE else size


def picture_names(figure: str) -> tuple[str, ...]:
    """The pictures of each frame."""
    return ("frame",) if figure == ALIGNED_FACE else ("frame", "figure")


@dataclass(frozen=True, kw_only=True)
class Dataset(Description):
    """What a dataset says of itself (`dataset.json`)."""

    folder: Path
    segments: tuple[Segment, ...]

    def frames(self, split: str) -> int:
        """Number of frames in a split."""
        return sum(s.frames for s in self.segments if s.split == split)

    def records(self, split: str) -> Records:
        """Random access to a split's examples, the pictures still encoded.

        Raises:
          UserError: they are not there, or not whole.
        """
        # TFDS is a second to import, and synthesis reads no records.
        from lumiere_jax.inputs.builder import records

        try:
            source = records(self.folder, split, picture_names(self.figure))
            if len(source) != self.frames(split):
                raise ValueError(f"{len(source)} of {self.frames(split)} are there")
            _ = source[0], source[len(source) - 1]
        except UserError:
            raise
        except Exception as error:  # TFDS and array_record raise what comes, asserts too
            raise UserError(
                f"{self.folder}: the records of its '{split}' split cannot be read; "
                "make the dataset anew with prepare.py."
            ) from error
        return source

    def features(self, split: str) -> np.ndarray:
        """Normalised audio features (frames, 40) of a split, in order."""
        rows = [example["features"] for example in self.records(split)]
        return normalise(np.stack(rows), self.mean, self.std)

    def sound(self, segment: Segment, frames: int) -> Float[np.ndarray, "samples 1"]:
        """The sound of a segment's first frames, at 16 kHz; UserError where it is damaged."""
        return self.samples(segment, 0, frame_start(frames, self.fps, RATE))[:, None]

    def samples(self, segment: Segment, start: int, stop: int) -> Float[np.ndarray, "samples"]:
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
        return _gain(*(self.folder / s.sound for s in same_voice(self.segments, segment)))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A segment's sound; UserError where it is damaged, also while it is read."""
    import soundfile  # which what is drawn into memory does without

    place: Any = os.fsencode(path)  # a name may be no UTF-8
    try:
        with soundfile.SoundFile(place) as file:
            if (file.format, file.samplerate, file.channels) != ("FLAC", RATE, 1):
                raise ValueError(f"it is no mono FLAC at {RATE} Hz")
            yield file
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): make the dataset anew with prepare.py."
        ) from error


@functools.cache
def _gain(*paths: Path) -> float:
    def blocks() -> Iterator[np.ndarray]:
        for path in paths:
            with _opened(path) as file:
                yield from file.blocks(10 * RATE, dtype="float32")

    return loudness_gain(blocks())


def read_segment(
    archives: Path,
    segments: Sequence[Segment],
    segment: Segment,
    fps: Fraction,
    pictures: tuple[str, ...],
) -> Iterator[tuple[int, dict]]:
    """The examples of one of the segments, with their keys; the features are those of its own sound
    alone."""
    known = archive.read_examples(archives / segment.clip, segment.first, segment.frames, pictures)
    rows = itertools.chain.from_iterable(_log_mel(archives, segments, segment, fps))
    for t, (example, row) in enumerate(zip(known, rows, strict=True)):
        yield segment.offset + t, {**example, "features": row}


def _log_mel(
    archives: Path, segments: Iterable[Segment], segment: Segment, fps: Fraction
) -> Iterator[np.ndarray]:
    """Rows, in pieces, of a segment's own sound. Its loudness is that of its clip in its split."""

    def sound(*parts: Segment) -> Iterator[np.ndarray]:
        for s in parts:
            yield from archive.read_sound(archives / s.clip, s.first, s.frames, fps)

    voice = functools.partial(sound, *same_voice(segments, segment))
    return extract(functools.partial(sound, segment), fps, segment.frames, voice)


def statistics(archives: Path, segments: list[Segment], fps: Fraction) -> tuple[Any, Any]:
    """Per-filter mean and standard deviation of the training split's log-mel energies."""
    count, total, squares = 0, np.zeros(FILTERS), np.zeros(FILTERS)
    for s in segments:
        if s.split == "train":
            for piece in _log_mel(archives, segments, s, fps):
                rows = piece.astype(np.float64)
                count += len(rows)
                total += rows.sum(0)
                squares += (rows**2).sum(0)
    mean = total / count
    # A filter that never moves (digital silence) must not divide by nothing.
    std = np.sqrt(np.maximum(squares / count - mean**2, 1 / CLIP**2))
    return mean.astype(np.float32), std.astype(np.float32)


def figure_scheme(source: str, explicit: bool) -> str:
    """What a dataset calls its figures: networks trained on one scheme fit no other."""
    return source if explicit else f"plain {source}"


def write_description(dataset: Dataset) -> None:
    """Writes `dataset.json` into the dataset's folder."""
    values = {
        "format": _oldest_format(dataset),
        "size": dataset.size,
        "fps": str(dataset.fps),
        "figure": dataset.figure,
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


def _oldest_format(dataset: Dataset) -> int:
    """The format of the first release that can read it: 3 with further segments of a clip, 2 with
    speakers or aligned faces."""
    if any(segment.part is not None for segment in dataset.segments):
        return 3
    speakers = any(segment.speaker is not None for segment in dataset.segments)
    return 2 if dataset.aligned or speakers else 1


def described(values: Mapping[str, Any]) -> dict[str, Any]:
    """What datasets and workdirs both say of their data, checked.

    Raises:
      ValueError, KeyError, TypeError or ArithmeticError: it cannot be.
    """
    size, fps, seed = values["size"], values["fps"], values["drawn_seed"]
    if type(size) is not int or size not in SIZES:
        raise ValueError(f"its size is {size!r}, none of {', '.join(map(str, SIZES))}")
    # As a fraction, 1e999999999 alone would take all memory.
    if not re.fullmatch(r"\d{1,20}(/\d{1,20})?", fps) or not SLOWEST <= Fraction(fps) <= FASTEST:
        raise ValueError(f"its fps is {fps!r}, not {SLOWEST} to {FASTEST}")
    if not isinstance(values["figure"], str):
        raise ValueError("its figure is no text")
    if values["figure"] == ALIGNED_FACE and size < SMALLEST_FACE:
        raise ValueError(f"its size is {size}, under {SMALLEST_FACE} for faces")
    if lacking := next(missing_fields(values["consent"]), None):
        raise ValueError(f"its consent does not say {lacking}")
    if seed is not None and (type(seed) is not int or not 0 <= seed < 2**63):
        raise ValueError(f"its drawn_seed is {seed!r}")
    known = {name: values[name] for name in ("size", "figure", "consent", "drawn_seed")}
    known["fps"] = Fraction(fps)
    for name, least in (("mean", -1e6), ("std", 0)):
        numbers = np.array(values[name], np.float64)
        if numbers.shape != (FILTERS,) or not ((least < numbers) & (numbers < 1e6)).all():
            raise ValueError(f"its {name} is not {FILTERS} numbers that can be")
        known[name] = numbers.astype(np.float32)
    return known


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
