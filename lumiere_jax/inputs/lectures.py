"""The dataset at rest: what stands beside its records, and how they are cut and read."""

import functools
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float

from lumiere_jax.audio.features import CLIP, FILTERS, RATE, extract, frame_start, normalise
from lumiere_jax.errors import UserError
from lumiere_jax.files import read_json
from lumiere_jax.inputs import archive
from lumiere_jax.inputs.consent import missing_fields
from lumiere_jax.inputs.records import Records

SIZES = (64, 128, 256, 512, 1024)
SLOWEST, FASTEST = 5, 120
SPLITS = ("train", "val", "test")
SHARES = (75, 5, 20)
DESCRIPTION = "dataset.json"
FORMAT = 1
# Frames in a row that each split needs.
TRIPLET = 3


@dataclass(frozen=True)
class Segment:
    """Neighbouring frames of one clip in one split; nothing looks across its ends.

    `first` counts in the clip, `offset` in the split.
    """

    split: str
    clip: str
    first: int
    frames: int
    offset: int

    @property
    def sound(self) -> str:
        """The segment's sound, a file's path inside the dataset."""
        return f"audio/{self.split}-{self.clip}.flac"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a dataset says of itself (`dataset.json`)."""

    folder: Path
    size: int
    fps: Fraction
    figure: str
    segments: tuple[Segment, ...]
    mean: np.ndarray
    std: np.ndarray
    consent: dict[str, Any] = field(default_factory=dict)
    drawn_seed: int | None = None

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
            source = records(self.folder, split)
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
        samples = frame_start(frames, self.fps, RATE)
        path = self.folder / segment.sound
        try:
            with soundfile.SoundFile(path) as file:
                if (file.format, file.samplerate, file.channels) != ("FLAC", RATE, 1):
                    raise ValueError(f"it is no mono FLAC at {RATE} Hz")
                return file.read(samples, dtype="float32", always_2d=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"{path} cannot be read ({error}): make the dataset anew with prepare.py."
            ) from error


def segments_of(clips: dict[str, int]) -> list[Segment]:
    """Cuts clips, given as frames by name, into splits.

    Under ten clips, each is cut 75/5/20% by time, in that order; otherwise whole clips are
    dealt out in the same shares.
    """
    parts: dict[str, list[tuple[str, int, int]]] = {split: [] for split in SPLITS}
    if len(clips) < 10:
        for name, frames in clips.items():
            cuts = [0, frames * SHARES[0] // 100, frames * (SHARES[0] + SHARES[1]) // 100, frames]
            for split, first, stop in zip(SPLITS, cuts, cuts[1:], strict=False):
                parts[split].append((name, first, stop - first))
    else:
        names = list(clips)
        validation = max(1, len(names) * SHARES[1] // 100)
        test = max(1, len(names) * SHARES[2] // 100)
        for i, name in enumerate(names):
            left = len(names) - i
            split = "test" if left <= test else "val" if left <= test + validation else "train"
            parts[split].append((name, 0, clips[name]))
    return place_segments(parts)


def place_segments(parts: dict[str, list[tuple[str, int, int]]]) -> list[Segment]:
    """Segments from (clip, first, frames) by split, one after the other in each split."""
    segments = []
    for split, pieces in parts.items():
        offset = 0
        for clip, first, frames in pieces:
            if frames:
                segments.append(Segment(split, clip, first, frames, offset))
                offset += frames
    return segments


def read_segment(archives: Path, segment: Segment, fps: Fraction) -> Iterator[tuple[int, dict]]:
    """A segment's examples with their keys; the features are those of its own sound alone."""
    known = archive.read_examples(archives / segment.clip, segment.first, segment.frames)
    rows = itertools.chain.from_iterable(_log_mel(archives, segment, fps))
    for t, (example, row) in enumerate(zip(known, rows, strict=True)):
        yield segment.offset + t, {**example, "features": row}


def _log_mel(archives: Path, segment: Segment, fps: Fraction) -> Iterator[np.ndarray]:
    """Rows, in pieces, of a segment's own sound, which is brought to its loudness by itself."""
    sound = functools.partial(
        archive.read_sound, archives / segment.clip, segment.first, segment.frames, fps
    )
    return extract(sound, fps, segment.frames)


def statistics(archives: Path, segments: list[Segment], fps: Fraction) -> tuple[Any, Any]:
    """Per-filter mean and standard deviation of the training split's log-mel energies."""
    count, total, squares = 0, np.zeros(FILTERS), np.zeros(FILTERS)
    for s in segments:
        if s.split == "train":
            for piece in _log_mel(archives, s, fps):
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
        "format": FORMAT,
        "size": dataset.size,
        "fps": str(dataset.fps),
        "figure": dataset.figure,
        "drawn_seed": dataset.drawn_seed,
        "consent": dataset.consent,
        "mean": dataset.mean.tolist(),
        "std": dataset.std.tolist(),
        "segments": [asdict(segment) for segment in dataset.segments],
    }
    (dataset.folder / DESCRIPTION).write_text(json.dumps(values, indent=1) + "\n")


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


def _check_segments(segments: tuple[Segment, ...]) -> None:
    """ValueError unless they follow each other in their splits and overlap in no clip."""
    ends = dict.fromkeys(SPLITS, 0)
    taken: dict[str, list[tuple[int, int]]] = {}
    for s in segments:
        numbers = (s.first, s.frames, s.offset)
        if s.split not in SPLITS or any(type(n) is not int or not 0 <= n < 2**31 for n in numbers):
            raise ValueError(f"there is no such segment: {s}")
        if not isinstance(s.clip, str) or Path(s.clip).name != s.clip or "\0" in s.clip:
            raise ValueError(f"{s.clip!r} is no clip's name")
        if not s.frames or s.offset != ends[s.split]:
            raise ValueError(f"the segments of its {s.split!r} split do not follow each other")
        ends[s.split] += s.frames
        taken.setdefault(s.clip, []).append((s.first, s.first + s.frames))
    for clip, parts in taken.items():
        for (_, stop), (first, _) in itertools.pairwise(sorted(parts)):
            if first < stop:
                raise ValueError(f"segments of the clip {clip!r} overlap")


def longest(segments: Iterable[Segment], split: str) -> int:
    """The most frames in a row that a split has."""
    return max((s.frames for s in segments if s.split == split), default=0)


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
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, not {FORMAT}")
        segments = tuple(Segment(**s) for s in values["segments"])
        _check_segments(segments)
        return Dataset(folder=folder, segments=segments, **described(values))
    except OSError as error:
        raise UserError(
            f"{folder} holds no dataset ({DESCRIPTION} cannot be read): make one with prepare.py."
        ) from error
    except (ValueError, KeyError, TypeError, ArithmeticError, AttributeError) as error:
        raise UserError(
            f"{path} is not a dataset's description ({error}): make it anew with prepare.py."
        ) from error
