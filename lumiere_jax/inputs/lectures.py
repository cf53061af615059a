"""The dataset at rest: what stands beside its records, and how they are cut and read."""

import functools
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float

from lumiere_jax.audio.features import CLIP, FILTERS, RATE, extract, frame_start, normalise
from lumiere_jax.errors import UserError
from lumiere_jax.inputs import archive
from lumiere_jax.inputs.records import Records

SPLITS = ("train", "val", "test")
SHARES = (75, 5, 20)
DESCRIPTION = "dataset.json"
FORMAT = 1


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
        from lumiere_jax.inputs.builder import data_source

        try:
            source = Records(data_source(self.folder, split), f"{self.folder}, '{split}' split")
            if len(source) != self.frames(split):
                raise ValueError(f"{len(source)} of {self.frames(split)} are there")
            _ = source[0], source[len(source) - 1]
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
        """The sound of a segment's first frames, at 16 kHz."""
        samples = frame_start(frames, self.fps, RATE)
        path = self.folder / segment.sound
        return soundfile.read(path, samples, dtype="float32", always_2d=True)[0]


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


def open_dataset(folder: Path) -> Dataset:
    """Reads a dataset's description.

    Raises:
      UserError: the folder holds no dataset, or one that this version cannot read.
    """
    path = folder / DESCRIPTION
    try:
        values = json.loads(path.read_text())
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']}, not {FORMAT}")
        return Dataset(
            folder=folder,
            size=int(values["size"]),
            fps=Fraction(values["fps"]),
            figure=values["figure"],
            segments=tuple(Segment(**s) for s in values["segments"]),
            mean=np.array(values["mean"], np.float32),
            std=np.array(values["std"], np.float32),
            consent=values["consent"],
            drawn_seed=values["drawn_seed"],
        )
    except OSError as error:
        raise UserError(
            f"{folder} holds no dataset ({DESCRIPTION} cannot be read): make one with prepare.py."
        ) from error
    except (ValueError, KeyError, TypeError, ArithmeticError, AttributeError) as error:
        raise UserError(
            f"{path} is not a dataset's description ({error}): make it anew with prepare.py."
        ) from error
