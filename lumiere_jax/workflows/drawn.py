"""The drawn lecturer to a dataset: the pose and the room of one, or the faces of several."""

import functools
import itertools
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from lumiere_jax.audio.features import RATE, frames_within
from lumiere_jax.errors import UserError
from lumiere_jax.inputs import archive, lectures, synthetic
from lumiere_jax.inputs.alignment import align, alignments, moved
from lumiere_jax.inputs.archive import Example
from lumiere_jax.inputs.lectures import ALIGNED_FACE, Dataset, picture_shape
from lumiere_jax.inputs.poses import Tick
from lumiere_jax.inputs.segments import SPLITS, place_segments
from lumiere_jax.inputs.sound import probe_audio, read_sound, to_mono
from lumiere_jax.workflows.dataset import check_lengths, check_place, finish
from lumiere_jax.workflows.folders import built_aside
from lumiere_jax.workflows.space import ask_for, dataset_bytes
from lumiere_jax.workflows.workers import side_by_side

SIZE = 128
FPS, FACES_FPS = Fraction(30), Fraction(25)
# The share of the first narration that is trained on.
HEARD = 95
SPEAKERS = 6
# Cols of the picture that a face is cut out of, over the face's own: there it is as large.
CLOSE = 3


@dataclass(frozen=True)
class Script:
    """What is drawn as one clip: who, what they say, with which gestures, in which splits (name,
    first frame, frames)."""

    clip: str
    seed: int
    waveform: np.ndarray
    take: int
    parts: tuple[tuple[str, int, int], ...]


def prepare_synthetic(
    *,
    out: Path,
    minutes: float | None = None,
    size: int = SIZE,
    seed: int = 0,
    explicit: bool = True,
    align: str | None = None,
    speakers: int | None = None,
) -> Dataset:
    """Makes a dataset of the drawn lecturer: narration one trains, narration two tests.

    `minutes` repeats the first narration with new gestures until they are full. With `align="face"`
    it is one of the faces of as many `speakers`, by the seeds from `seed` on: all but two train,
    one validates and one tests, on words that nobody else says.

    Raises:
      UserError: anything about the flags.
    """
    figure = ALIGNED_FACE if align else lectures.figure_scheme("drawn", explicit)
    check_place(out, size, figure)
    if minutes is not None and not 0.1 <= minutes <= 600:
        raise UserError(f"--minutes={minutes}: use 0.1 to 600.")
    if seed < 0:
        raise UserError(f"--seed={seed}: use 0 or more.")
    fps = FACES_FPS if align else FPS
    scripts = (
        _faces(seed, SPEAKERS if speakers is None else speakers, minutes)
        if align
        else _lectures(seed, minutes)
    )
    parts: dict[str, list[tuple[str, int, int]]] = {split: [] for split in SPLITS}
    for script in scripts:
        for split, first, frames in script.parts:
            parts[split].append((script.clip, first, frames))
    named = {script.clip: f"drawn, seed {script.seed}" for script in scripts}
    segments = place_segments(parts, named if align else None)
    check_lengths(segments, f"--minutes={minutes}", fps)
    who = f"a lecturer drawn by lumiere_jax (seed {seed})"
    record = {
        "who": f"nobody: {f'{len(scripts)} faces of ' if align else ''}{who}",
        "when": "1970-01-01",
        "purpose": "demonstration and tests",
    }
    frames = sum(s.frames for s in segments)
    ask_for(out, *dataset_bytes(frames, size, fps))
    with built_aside(out, lectures.DESCRIPTION) as folder:
        archives = folder / "clips"
        archives.mkdir()
        tasks = [(script, archives / script.clip) for script in scripts]
        draw = _drawn_faces if align else functools.partial(_drawn_lecture, explicit=explicit)
        work = functools.partial(_write, draw=draw, size=size, fps=fps)
        with side_by_side(min(2, len(tasks)), frames) as run:
            run(work, tasks)
        finish(folder, archives, segments, size, fps, figure, record, seed)
        shutil.rmtree(archives)
    return lectures.open_dataset(out)


def read_narration(path: Path) -> np.ndarray:
    """A short narration whole, mono at 16 kHz."""
    return np.concatenate(list(to_mono(read_sound(path), probe_audio(path).rate)))


def _narrations() -> Iterator[np.ndarray]:
    return (read_narration(synthetic.narration(name)) for name in ("first", "second"))


def _lectures(seed: int, minutes: float | None) -> list[Script]:
    """One lecturer, who repeats the first narration until the minutes are full."""
    first, second = _narrations()
    takes = max(1, math.ceil((minutes or 0) * 60 * RATE / len(first)))
    scripts = []
    for take in range(takes):
        waveform = first
        if minutes is not None and take == takes - 1:
            waveform = first[: int(minutes * 60 * RATE) - take * len(first)]
        count = frames_within(len(waveform), FPS)
        cut = count * HEARD // 100
        parts = (("train", 0, cut), ("val", cut, count - cut))
        scripts.append(Script(f"first-{take}", seed, waveform, take, parts))
    test = (("test", 0, frames_within(len(second), FPS)),)
    return [*scripts, Script("second", seed, second, 0, test)]


def _faces(seed: int, speakers: int, minutes: float | None) -> list[Script]:
    """Faces that train say the first narration, each beginning elsewhere in it."""
    if not 3 <= speakers <= 1000:
        raise UserError(f"--speakers={speakers}: use 3 (to train, to validate, to test) to 1000.")
    first, second = _narrations()
    heard, rest = np.split(first, [len(first) * HEARD // 100])
    training = speakers - 2
    longest = len(heard) / RATE / 60
    each = longest if minutes is None else minutes / training
    if each > longest:
        raise UserError(
            f"--minutes={minutes}: {training} faces that train say at most "
            f"{training * longest:.1f} minutes: give fewer, or more --speakers."
        )

    def script(place: int, split: str, waveform: np.ndarray) -> Script:
        number = seed + place
        parts = ((split, 0, frames_within(len(waveform), FACES_FPS)),)
        return Script(f"face-{number}", number, waveform, 0, parts)

    samples = int(each * 60 * RATE)
    trained = [
        script(place, "train", np.roll(heard, -place * len(heard) // training)[:samples])
        for place in range(training)
    ]
    return [*trained, script(training, "val", rest), script(training + 1, "test", second)]


def _write(script: Script, path: Path, tick: Tick, *, draw, size: int, fps: Fraction) -> None:
    def examples() -> Iterator[Example]:
        count = frames_within(len(script.waveform), fps)
        for example in itertools.islice(draw(script, size, fps), count):
            tick(1)
            yield example

    archive.write_clip(path, examples(), [script.waveform])


def _drawn_lecture(script: Script, size: int, fps: Fraction, explicit: bool) -> Iterator[Example]:
    for d in synthetic.draw_lecture(
        script.waveform, fps, size, script.seed, script.take, explicit=explicit
    ):
        yield Example(d.frame, d.figure, d.keypoints, d.aperture)


def _drawn_faces(script: Script, size: int, fps: Fraction) -> Iterator[Example]:
    """Cut out of larger pictures; apertures stay in units of these."""
    shape = picture_shape(size, ALIGNED_FACE)
    side = CLOSE * shape[1]
    for d in synthetic.draw_lecture(script.waveform, fps, side, script.seed):
        # Points that are known do not tremble: each frame is aligned by its own.
        (transform,) = alignments(d.keypoints[None], (side, side), shape)
        points = moved(d.keypoints, transform, (side, side), shape)
        yield Example(align(d.frame, transform, shape), None, points, d.aperture)
