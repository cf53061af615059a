"""Clips that are drawn, a stage that trains on them for some seconds, and what it learned."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cases import speech
from rounds import say

from lumiere_jax.audio.features import loudness_gain
from lumiere_jax.audio.frame_times import RATE, frames_within
from lumiere_jax.audio.front_ends import FrontEnd, rows_of
from lumiere_jax.drawn.scripts import Script
from lumiere_jax.measures.frame_comparison import beside_still, compare, mouths, named
from lumiere_jax.measures.summaries import summarise
from lumiere_jax.runtime.worker_processes import cores, side_by_side
from lumiere_jax.systems.pictures import sheet
from lumiere_jax.training import checkpoint, loop
from lumiere_jax.training.stage import Batch, Stage

SEED = 0
# Columns of a sheet.
SHOWN = 8


@dataclass(frozen=True)
class Scale:
    """How much is drawn and learned: `seconds` of each of `takes` and of speech that is held out,
    by generators of this width."""

    short: bool
    width: int
    takes: int
    seconds: int


# With what is held out, as many clips as the machines that this is for have cores.
FULL = Scale(short=False, width=64, takes=15, seconds=20)
SHORT = Scale(short=True, width=8, takes=2, seconds=2)


@dataclass(frozen=True)
class Clip:
    """A clip's frames and figures (frames, rows, cols, 3), keypoints and apertures."""

    frame: np.ndarray
    figure: np.ndarray | None
    keypoints: np.ndarray
    aperture: np.ndarray


def said(scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Speech to learn from, and speech that is held out."""
    return speech("first"), speech("second")[: scale.seconds * RATE]


def heard(script: Script, front_end: FrontEnd) -> np.ndarray:
    """A row for each frame of a clip, of a voice at the loudness that is heard."""
    sound, frames = [script.waveform], frames_within(len(script.waveform), front_end.rate)
    return rows_of(front_end, sound, frames, loudness_gain(sound))


def drawn(scripts: list[Script], draw: Callable[[Script, int], Any], size: int) -> list[Clip]:
    """Each script's clip, drawn by as many processes as there are cores."""
    began = time.perf_counter()
    frames = sum(count for script in scripts for _, _, count in script.parts)
    with side_by_side(min(len(cores()), len(scripts)), frames) as run:
        clips = run(draw_clip, [(script, draw, size) for script in scripts])
    seconds = time.perf_counter() - began
    say(drawn=frames, clips=len(clips), size=size, seconds=seconds)
    return clips


def draw_clip(script: Script, draw: Any, size: int, tick: Callable[[int], Any]) -> Clip:
    """One script's clip, here."""
    examples = []
    for example in draw(script, size):
        examples.append(example)
        tick(1)
    figures = [e.figure for e in examples if e.figure is not None]
    return Clip(
        np.stack([e.frame for e in examples]),
        np.stack(figures) if figures else None,
        np.stack([e.keypoints for e in examples]).astype(np.float32),
        np.array([e.aperture for e in examples]),
    )


def learn_for(
    seconds: float, stage: Stage, network: str, batches: loop.Batches, frozen: Any, workdir: Path
) -> Any:
    """A network's variables after its stage was trained for so many seconds, compiling included.

    It is train.py's own loop, which is stopped as by Ctrl-C and saves.
    """
    began, moments = time.perf_counter(), []

    def until_over(first: int) -> Iterator[Batch]:
        asked = False
        for batch in batches(first):
            moments.append(time.perf_counter())
            # Before the first step is done there is nothing to save.
            if not asked and len(moments) > stage.dispatch and moments[-1] - began > seconds:
                os.kill(os.getpid(), signal.SIGTERM)
                asked = True
            yield batch

    with contextlib.suppress(KeyboardInterrupt):
        loop.train(stage, until_over, list, frozen, workdir, seed=SEED, metadata={}, reports=1)
    # When calls were begun, but for the first ones: one compiled, and the next waited for it.
    calls = moments[2 * stage.dispatch :: stage.dispatch]
    steps = (len(calls) - 1) * stage.dispatch
    step = (calls[-1] - calls[0]) / steps if steps > 0 else None
    say(
        stage=stage.name,
        batch=stage.batch,
        steps=len(moments),
        ms=1000 * step if step else None,
        examples_per_s=stage.batch / step if step else None,
        second_step_s=moments[stage.dispatch] - began,
        seconds=time.perf_counter() - began,
    )
    return checkpoint.restore_frozen(workdir, stage, network)[network]


def judged(
    system: str,
    made: dict[str, np.ndarray],
    test: Clip,
    beside: tuple[str, np.ndarray],
    aligned: bool,
) -> None:
    """Says what frames are beside the real ones, as evaluate.py measures it, and what one picture
    that never moves would be."""
    values: dict[str, np.ndarray] = {}
    for stage, frames in made.items():
        values |= named(stage, compare(frames, test.frame, test.keypoints))
    values |= named("video", beside_still(beside[0], test.frame, beside[1]))
    known = [{"aperture": aperture} for aperture in test.aperture]
    values |= mouths({"real": test.frame, **made}, known, None, drawn=True, aligned=aligned)
    for stage, numbers in summarise([values], tuple(made)).items():
        say(system=system, measured=stage, frames=len(test.frame), **numbers)


def write_sheet(stem: Path, system: str, pictures: list[np.ndarray]) -> None:
    """Moments of the clip, one a column, as a picture STEM_SYSTEM.png."""
    times = np.linspace(0, len(pictures[0]) - 1, SHOWN).astype(int)
    path = stem.with_name(f"{stem.name}_{system}.png")
    cv2.imwrite(str(path), sheet([rows[times] for rows in pictures])[..., ::-1])
    say(sheet=path.name)
