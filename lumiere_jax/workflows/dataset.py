"""Where a dataset goes, and the last part of preparing: from archives of clips to what is there."""

import math
import os
import shutil
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soundfile

from lumiere_jax.audio.features import RATE
from lumiere_jax.errors import UserError
from lumiere_jax.inputs import archive, builder, lectures
from lumiere_jax.inputs.lectures import ALIGNED_FACE, SIZES, SMALLEST_FACE, Dataset
from lumiere_jax.inputs.segments import SPLITS, TRIPLET, Segment, longest

# Frames of which a twentieth, the share to validate on, are three.
SHORTEST = 60


def check_place(out: Path, size: int, figure: str) -> None:
    """UserError unless a dataset of this size can be made in the folder."""
    sizes = [size for size in SIZES if figure != ALIGNED_FACE or size >= SMALLEST_FACE]
    if size not in sizes:
        raise UserError(f"--size={size}: use one of {', '.join(map(str, sizes))}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not out.is_dir():
            raise UserError(f"--out={out} is a file: name another folder.")
        what = "a dataset already" if (out / lectures.DESCRIPTION).exists() else "other files"
        raise UserError(f"--out={out} holds {what}: name another folder.")


def check_lengths(
    segments: list[Segment], what: str, fps: Fraction, remedy: str | None = None
) -> None:
    """UserError unless each split has as many frames in a row as training wants. `remedy` is what
    to give, by default a clip that is long enough."""
    remedy = remedy or f"a clip of at least {math.ceil(SHORTEST / fps)} seconds"
    for split in SPLITS:
        frames = longest(segments, split)
        if frames < TRIPLET:
            raise UserError(
                f"{what} is too short: its '{split}' split has {frames} frames in a row and needs "
                f"{TRIPLET}; give {remedy}."
            )


def finish(
    folder: Path,
    archives: Path,
    segments: list[Segment],
    size: int,
    fps: Fraction,
    figure: str,
    consent: dict[str, Any],
    drawn_seed: int | None = None,
    beam_options: Any = None,
) -> None:
    """From archives of clips to the dataset and what stands beside it, in `folder`."""
    mean, std = lectures.statistics(archives, segments, fps)
    pictures = lectures.picture_names(figure)
    builder.build(folder, archives, tuple(segments), fps, pictures, beam_options)
    for s in segments:
        (folder / s.sound).parent.mkdir(parents=True, exist_ok=True)
        place: Any = os.fsencode(folder / s.sound)
        with soundfile.SoundFile(place, "w", RATE, 1, "PCM_16", format="FLAC") as sound:
            for piece in archive.read_sound(archives / s.clip, s.first, s.frames, fps):
                sound.write(piece)
    dataset = Dataset(
        folder=folder,
        size=size,
        fps=fps,
        figure=figure,
        segments=tuple(segments),
        mean=mean,
        std=std,
        consent=consent,
        drawn_seed=drawn_seed,
    )
    lectures.write_description(dataset)
    write_preview(folder / "preview.png", archives, segments, pictures)
    if dataset.aligned:
        write_stills(folder, archives, segments)
    shutil.rmtree(folder / "downloads", ignore_errors=True)


def write_stills(folder: Path, archives: Path, segments: Iterable[Segment]) -> None:
    """The first face of everyone to validate and test on, `stills/<split>-<clip>.png`."""
    (folder / "stills").mkdir()
    for s in segments:
        if s.split != "train" and s.part is None:
            (example,) = archive.read_examples(archives / s.clip, s.first, 1, ("frame",))
            still = archive.encode_png(archive.decode(example["frame"]))
            (folder / "stills" / f"{s.split}-{s.clip}.png").write_bytes(still)


def write_preview(
    path: Path,
    archives: Path,
    segments: Iterable[Segment],
    names: tuple[str, ...],
    columns: int = 8,
) -> None:
    """Frames evenly over all segments, and where there are figures these and both overlaid: look
    before you train."""
    times = [(s.clip, s.first + t) for s in segments for t in range(s.frames)]
    picked = [times[i] for i in np.linspace(0, len(times) - 1, columns).astype(int)]
    strips = []
    for clip, t in picked:
        example = next(archive.read_examples(archives / clip, t, 1, names))
        strip = [archive.decode(example[name]) for name in names]
        if len(strip) > 1:
            strip.append(cv2.addWeighted(strip[0], 0.5, strip[1], 0.5, 0))
        strips.append(np.concatenate(strip))
    picture = np.concatenate(strips, axis=1)
    path.write_bytes(archive.encode_png(picture))
