"""Dataset assembly: checks of the output folder, and the dataset's files from clip archives."""

import itertools
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soundfile

from lumiere_jax.audio.frame_times import RATE
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset import builder, clip_archives, lectures
from lumiere_jax.inputs.dataset.columns import FRAME, Column, pictures
from lumiere_jax.inputs.dataset.geometry import Geometry
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.segments import SPLITS, TRIPLET, Segment, longest
from lumiere_jax.inputs.media import picture_bytes

# The validation split is a twentieth of a clip: 3 of 60 frames.
SHORTEST = 60


def check_place(out: Path, size: int, geometry: Geometry) -> None:
    """Raises a UserError unless a dataset of this size can be made in the folder."""
    if size not in geometry.sizes:
        raise UserError(f"--size={size}: use one of {', '.join(map(str, geometry.sizes))}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not out.is_dir():
            raise UserError(f"--out={out} is a file: name another folder.")
        what = "a dataset already" if (out / lectures.DESCRIPTION).exists() else "other files"
        raise UserError(f"--out={out} holds {what}: name another folder.")


def check_lengths(
    segments: list[Segment], what: str, fps: Fraction, remedy: str | None = None
) -> None:
    """Raises a UserError unless each split has enough consecutive frames to train on.

    Args:
      segments: All segments of the dataset.
      what: Name of the footage, for the error.
      fps: Frames per second.
      remedy: What the error asks for; by default a clip of sufficient length.
    """
    remedy = remedy or f"a clip of at least {math.ceil(SHORTEST / fps)} seconds"
    for split in SPLITS:
        frames = longest(segments, split)
        if frames < TRIPLET:
            raise UserError(
                f"{what} is too short: its '{split}' split has {frames} frames in a row and needs "
                f"{TRIPLET}; give {remedy}."
            )


def finish(dataset: Dataset, archives: Path, beam_options: Any = None) -> None:
    """Builds a dataset in its folder: records, sound, description, preview and stills.

    Args:
      dataset: Description without statistics, which are measured here from the stored sound.
      archives: Folder of the clips' archives.
      beam_options: Apache Beam's options; with them, Beam writes the records.
    """
    folder, segments, columns = dataset.folder, dataset.segments, dataset.columns
    builder.build(folder, archives, segments, columns, beam_options)
    for s in segments:
        (folder / s.sound).parent.mkdir(parents=True, exist_ok=True)
        place: Any = os.fsencode(folder / s.sound)
        with soundfile.SoundFile(place, "w", RATE, 1, "PCM_16", format="FLAC") as sound:
            for piece in clip_archives.read_sound(
                archives / s.clip, s.first, s.frames, dataset.fps
            ):
                sound.write(piece)
    lectures.write_description(lectures.with_statistics(dataset))
    write_preview(folder / "preview.png", archives, segments, columns)
    if dataset.geometry.aligned:
        write_stills(folder, archives, segments, columns)
    shutil.rmtree(folder / "downloads", ignore_errors=True)


def write_stills(
    folder: Path, archives: Path, segments: Iterable[Segment], columns: Sequence[Column]
) -> None:
    """Writes the first face of each validation and test clip as `stills/<split>-<clip>.png`."""
    (folder / "stills").mkdir()
    for s in segments:
        if s.split != "train" and s.part is None:
            (example,) = clip_archives.read_examples(archives / s.clip, columns, s.first, 1)
            still = picture_bytes.encode_png(picture_bytes.decode(example["frame"]))
            (folder / "stills" / f"{s.split}-{s.clip}.png").write_bytes(still)


def write_preview(
    path: Path,
    archives: Path,
    segments: Iterable[Segment],
    columns: Sequence[Column],
    shown: int = 8,
) -> None:
    """Writes a sheet of frames, sampled evenly over all segments, to inspect before training.

    Below each frame stand the example's other pictures, each alone and blended with the frame.

    Args:
      path: PNG file to write.
      archives: Folder of the clips' archives.
      segments: Segments to sample from.
      columns: The dataset's columns.
      shown: Number of frames.
    """
    times = [(s.clip, s.first + t) for s in segments for t in range(s.frames)]
    picked = [times[i] for i in np.linspace(0, len(times) - 1, shown).astype(int)]
    strips = []
    for clip, t in picked:
        example = next(clip_archives.read_examples(archives / clip, columns, t, 1))
        names = [c.name for c in pictures(columns) if c.name != FRAME.name]
        frame = picture_bytes.decode(example[FRAME.name])
        others = [picture_bytes.decode(example[name]) for name in names]
        both = ((other, cv2.addWeighted(frame, 0.5, other, 0.5, 0)) for other in others)
        strips.append(np.concatenate([frame, *itertools.chain.from_iterable(both)]))
    picture = np.concatenate(strips, axis=1)
    path.write_bytes(picture_bytes.encode_png(picture))
