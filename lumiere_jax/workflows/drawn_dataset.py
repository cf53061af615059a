"""Datasets of the drawn lecturer: one lecturer in a room, or the faces of several speakers."""

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lumiere_jax.drawn import lecturer
from lumiere_jax.drawn.scripts import (
    FACES_FPS,
    FPS,
    Script,
    drawn_faces,
    drawn_lecture,
    face_scripts,
    lecture_scripts,
)
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.clips.clip_plan import Tick
from lumiere_jax.inputs.dataset import clip_archives, description, lectures
from lumiere_jax.inputs.dataset.columns import Column, Moment
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.segments import SPLITS, place_segments
from lumiere_jax.inputs.sound.sound_tracks import probe_audio, read_sound, to_mono
from lumiere_jax.runtime.disk_space import announce_space
from lumiere_jax.runtime.output_folders import built_aside
from lumiere_jax.runtime.worker_processes import side_by_side
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import System
from lumiere_jax.workflows.dataset_assembly import check_lengths, check_place, finish
from lumiere_jax.workflows.disk_estimates import dataset_bytes

SIZE = 128
SPEAKERS = 6


def prepare_synthetic(
    *,
    out: Path,
    minutes: float | None = None,
    size: int = SIZE,
    seed: int = 0,
    explicit: bool = True,
    system: System | None = None,
    speakers: int | None = None,
) -> Dataset:
    """Makes a dataset of the drawn lecturer: narration one trains, narration two tests.

    Args:
      out: Folder of the dataset.
      minutes: Length to reach by repeating the first narration with new gestures, 0.1 to 600.
      size: Side of the pictures in pixels.
      seed: Seed of the drawing; the speakers of a faces dataset have the seeds from `seed` on.
      explicit: Whether figures show eyes, lips and fingers.
      system: System to prepare for; by default the registry's first.
      speakers: Number of faces, for systems of aligned faces. All but two train; one validates and
        one tests, on words that no other speaker says.

    Raises:
      UserError: a flag is invalid, or the folder cannot be used.
    """
    system = system or registry.default()
    geometry, columns, faces = system.geometry, system.columns, system.geometry.aligned
    check_place(out, size, geometry)
    if minutes is not None and not 0.1 <= minutes <= 600:
        raise UserError(f"--minutes={minutes}: use 0.1 to 600.")
    if seed < 0:
        raise UserError(f"--seed={seed}: use 0 or more.")
    fps = FACES_FPS if faces else FPS
    first, second = (read_narration(lecturer.narration(name)) for name in ("first", "second"))
    scripts = (
        face_scripts(first, second, seed, SPEAKERS if speakers is None else speakers, minutes)
        if faces
        else lecture_scripts(first, second, seed, minutes)
    )
    parts: dict[str, list[tuple[str, int, int]]] = {split: [] for split in SPLITS}
    for script in scripts:
        for split, begin, frames in script.parts:
            parts[split].append((script.clip, begin, frames))
    named = {script.clip: f"drawn, seed {script.seed}" for script in scripts}
    segments = place_segments(parts, named if faces else None)
    check_lengths(segments, f"--minutes={minutes}", fps)
    who = f"a lecturer drawn by lumiere_jax (seed {seed})"
    record = {
        "who": f"nobody: {f'{len(scripts)} faces of ' if faces else ''}{who}",
        "when": "1970-01-01",
        "purpose": "demonstration and tests",
    }
    frames = sum(s.frames for s in segments)
    announce_space(out, *dataset_bytes(frames, size, fps, columns))
    with built_aside(out, lectures.DESCRIPTION) as folder:
        archives = folder / "clips"
        archives.mkdir()
        tasks = [(script, archives / script.clip) for script in scripts]
        draw = drawn_faces if faces else functools.partial(drawn_lecture, explicit=explicit)
        work = functools.partial(_write, draw=draw, size=size, columns=columns)
        with side_by_side(min(2, len(tasks)), frames) as run:
            run(work, tasks)
        planned = lectures.unmeasured(
            folder=folder,
            size=size,
            fps=fps,
            figure=geometry.scheme or description.figure_scheme("drawn", explicit),
            geometry=geometry,
            columns=columns,
            segments=tuple(segments),
            consent=record,
            drawn_seed=seed,
        )
        finish(planned, archives)
        shutil.rmtree(archives)
    return lectures.open_dataset(out)


def read_narration(path: Path) -> np.ndarray:
    """Reads a short narration into memory, mono at 16 kHz."""
    return np.concatenate(list(to_mono(read_sound(path), probe_audio(path).rate)))


def _write(
    script: Script, path: Path, tick: Tick, *, draw, size: int, columns: tuple[Column, ...]
) -> None:
    def moments() -> Iterator[Moment]:
        for moment in draw(script, size):
            tick(1)
            yield moment

    clip_archives.write_clip(path, columns, moments(), [script.waveform])
