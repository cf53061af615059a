"""What the drawn lecturer's model learns in two minutes, and a talking face's; a part of
accelerator.py.

Clips are drawn on the spot into the device's memory, and the product's own loop trains on them. The
lecturer's model has the losses and widths of `lecture`, every frame as a target, random VGG-19
features and the rates of `small` for the VAE and the BLSTM; that of faces is `small` at the paper's
width. What is measured is of a narration that was not trained on, and the face's of another face.
Sheets of pictures go to --sheets. From above: the real figures, those that were heard, the frames
made of the real figures, those made of what was heard, the real frames; of a face the still, the
frames made of it, the real ones.
"""

import argparse
import contextlib
import functools
import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jax
import numpy as np
from cases import speech
from rounds import say

from configs import lumierenet as lectures
from configs import temporal_gan as faces
from lumiere_jax import vgg
from lumiere_jax.audio.features import RATE, loudness_gain, normalise
from lumiere_jax.audio.frame_times import frames_within
from lumiere_jax.audio.front_ends import log_mel, rows_of, waveform
from lumiere_jax.codes.recurrent import window_steps
from lumiere_jax.drawn.scripts import (
    FACES_FPS,
    FPS,
    Script,
    drawn_faces,
    drawn_lecture,
    face_scripts,
)
from lumiere_jax.inputs.batches import device_dataset
from lumiere_jax.inputs.batches.example_order import shuffled_indices
from lumiere_jax.measures.frame_comparison import beside_still, compare, mouths, named
from lumiere_jax.measures.summaries import summarise
from lumiere_jax.outputs.mark import marked
from lumiere_jax.runtime.inference_batches import in_batches
from lumiere_jax.runtime.memory_allocation import claim_accelerator, keep_freed_memory
from lumiere_jax.runtime.worker_processes import cores, side_by_side
from lumiere_jax.systems import registry
from lumiere_jax.systems.gathering import gathering
from lumiere_jax.systems.lumierenet import device_data
from lumiere_jax.systems.lumierenet.batches import MEMORY
from lumiere_jax.systems.lumierenet.feed import NETWORKS
from lumiere_jax.systems.lumierenet.seqpix2pix import render
from lumiere_jax.systems.lumierenet.seqpix2pix_losses import generator
from lumiere_jax.systems.lumierenet.synthesis import synthesise
from lumiere_jax.systems.lumierenet.vae import encode, vae_network
from lumiere_jax.systems.pictures import sheet
from lumiere_jax.systems.temporal_gan.synthesis import animate
from lumiere_jax.training import checkpoint, loop
from lumiere_jax.training.stage import Batch, Stage

SEED = 0
# Columns of a sheet.
SHOWN = 8


@dataclass(frozen=True)
class Scale:
    """How much is drawn and learned: `seconds` of each of `takes` and of speech that is held out,
    and those that each stage is trained for, compiling included."""

    size: int
    width: int
    takes: int
    seconds: int
    vae: float
    blstm: float
    seqpix2pix: float
    animator: float


# With what is held out, as many clips as the machines that this is for have cores.
FULL = Scale(size=256, width=64, takes=15, seconds=20, vae=30, blstm=10, seqpix2pix=80, animator=40)
SHORT = Scale(size=64, width=8, takes=2, seconds=2, vae=4, blstm=2, seqpix2pix=9, animator=18)


@dataclass(frozen=True)
class Clip:
    """A clip's frames and figures (frames, rows, cols, 3), keypoints and apertures."""

    frame: np.ndarray
    figure: np.ndarray | None
    keypoints: np.ndarray
    aperture: np.ndarray


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


def learn(
    stage: Stage, network: str, batches: loop.Batches, frozen: Any, seconds: float, workdir: Path
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


def lecturer(scale: Scale, sheets: Path) -> None:
    """LumièreNet's three stages, and its speech."""
    config, size = lectures.lecture(), scale.size
    config.vgg, config.seqpix2pix.width, config.seqpix2pix.stride = "random", scale.width, 1
    config.vae.learning_rate, config.blstm.learning_rate = 1e-3, 5e-4
    config.blstm.dispatch = 8  # a step is shorter than its call
    scripts = lecture_clips(scale)
    *takes, test = drawn(scripts, drawn_lecture, size)
    heard = [log_mel_rows(script) for script in scripts]
    mean, std = (f(np.concatenate(heard[:-1]), axis=0) for f in (np.mean, np.std))
    *rows, test_rows = [normalise(one, mean, std) for one in heard]
    frames, figures, keypoints = (
        np.concatenate([getattr(take, name) for take in takes])
        for name in ("frame", "figure", "keypoints")
    )
    rows_of = lambda pictures: pictures.reshape(-1, size, 3 * size)  # noqa: E731
    ends = np.cumsum([0, *(len(take.frame) for take in takes)])
    spans = list(itertools.pairwise(ends.tolist()))
    setting = f"the losses of lecture, width {scale.width}, random VGG-19, every frame a target"
    say(system="lumierenet", setting=setting)
    stages, every = registry.get("lumierenet").stages(config, (size, size)), np.arange(ends[-1])
    frozen: dict[str, Any] = {"vgg": vgg.load_vgg19("random")}
    with tempfile.TemporaryDirectory() as workdir:

        def trained(
            name: str, data: device_dataset.Resident, items: np.ndarray, seconds: float
        ) -> Any:
            stage, network = gathering(stages[name]), NETWORKS[name]
            batches = lambda first: shuffled_indices(items, stage.batch, SEED, first)  # noqa: E731
            given = frozen | {"data": jax.device_put(data)}
            return learn(stage, network, batches, given, seconds, Path(workdir))

        known = {"figure": rows_of(figures), "keypoints": keypoints}
        vae = frozen["vae"] = trained("vae", device_data.of_figures(known), every, scale.vae)
        means = jax.jit(functools.partial(encode, vae_network(config, size), vae))
        codes = in_batches(means, 64, figures)
        b = config.blstm
        steps = [start + window_steps(stop - start, b.window, b.delay) for start, stop in spans]
        windows = device_data.windows(np.concatenate(rows), np.concatenate(steps), codes)
        blstm = trained("blstm", windows, every, scale.blstm)
        # Triplets do not look across the ends of takes.
        items = [np.arange(start + MEMORY, stop) for start, stop in spans]
        triplets = device_data.of_triplets({**known, "frame": rows_of(frames)})
        g = trained("seqpix2pix", triplets, np.concatenate(items), scale.seqpix2pix)
    variables = {"vae": {"vae": vae}, "blstm": {"blstm": blstm}, "seqpix2pix": {"G": g}}
    spoken = synthesise(config, size, variables, [test_rows])
    said_figures, said = map(np.stack, zip(*spoken, strict=True))
    rendered = jax.jit(functools.partial(render, generator(config, size), g))
    made = {"seqpix2pix": in_batches(rendered, 8, test.figure), "video": said}
    mean_frame = np.round(frames.mean(0)).astype(np.uint8)
    judged("lumierenet", made, test, ("mean_frame", mean_frame), aligned=False)
    synthetic = [np.stack(list(marked(frames))) for frames in made.values()]
    write_sheet(sheets, "lumierenet", [test.figure, said_figures, *synthetic, test.frame])


def lecture_clips(scale: Scale) -> list[Script]:
    """Takes of the first narration, each from another place in it on, and one of the second."""
    first, second = speech("first"), speech("second")
    samples = scale.seconds * RATE
    said = [np.roll(first, -i * len(first) // scale.takes) for i in range(scale.takes)]
    said = [*(one[:samples] for one in said), second[:samples]]
    return [
        Script(f"take-{i}", SEED, one, i, (("train", 0, frames_within(len(one), FPS)),))
        for i, one in enumerate(said)
    ]


def log_mel_rows(script: Script) -> np.ndarray:
    """A clip's log-mel rows, of a voice at the loudness that is heard."""
    sound, frames = [script.waveform], frames_within(len(script.waveform), FPS)
    return rows_of(log_mel(FPS), sound, frames, loudness_gain(sound))


def heard_windows(script: Script) -> np.ndarray:
    """The windows (frames, 2560) of a face's waveform."""
    sound, frames = [script.waveform], frames_within(len(script.waveform), FACES_FPS)
    return rows_of(waveform(FACES_FPS), sound, frames, loudness_gain(sound))


def talker(scale: Scale, sheets: Path) -> None:
    """The temporal GAN's stage, and a face's speech."""
    config, size = faces.small(), 128
    c = config.animator
    c.width, c.patience = scale.width, 0
    if scale is SHORT:
        c.code, c.cells, c.batch, c.frames = 16, 16, 2, 3
    second = speech("second")[: scale.seconds * RATE]
    minutes = scale.takes * scale.seconds / 4 / 60
    *training, _, test = face_scripts(speech("first"), second, SEED, scale.takes + 2, minutes)
    scripts = [*training, test]
    every = drawn(scripts, drawn_faces, size)
    heard = [heard_windows(script) for script in scripts]
    say(system="temporal_gan", setting=f"the losses of small, width {scale.width}")
    stage = registry.get("temporal_gan").stages(config, every[0].frame.shape[1:3])["animator"]

    def batches(first: int) -> Iterator[Batch]:
        """Sequences of faces that train, each from a random frame on, with a random still."""
        for step in itertools.count(first):
            random = np.random.default_rng((SEED, step))
            chosen = random.integers(scale.takes, size=stage.batch)
            starts = [random.integers(len(every[i].frame) - c.frames + 1) for i in chosen]
            stills = [random.integers(len(every[i].frame)) for i in chosen]
            pairs = list(zip(chosen, starts, strict=True))
            yield {
                "frames": np.stack([every[i].frame[t : t + c.frames] for i, t in pairs]),
                "windows": np.stack([heard[i][t : t + c.frames] for i, t in pairs]),
                "still": np.stack([every[i].frame[t] for i, t in zip(chosen, stills, strict=True)]),
                "lengths": np.full(stage.batch, c.frames, np.int32),
            }

    with tempfile.TemporaryDirectory() as workdir:
        g = learn(stage, "G", batches, {}, scale.animator, Path(workdir))
    variables, known = {"animator": {"G": g}}, every[-1]
    still = known.frame[0]
    said = np.stack(list(animate(config, variables, still, heard[-1])))
    judged("temporal_gan", {"video": said}, known, ("still", still), aligned=True)
    stills = np.broadcast_to(still, said.shape)
    write_sheet(sheets, "temporal_gan", [stills, np.stack(list(marked(said))), known.frame])


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="small, for seconds")
    parser.add_argument("--sheets", type=Path, default=Path("runs/learning"), metavar="STEM")
    flags = parser.parse_args()
    keep_freed_memory()
    claim_accelerator()
    with contextlib.redirect_stdout(sys.stderr):  # what the loop says is no row
        for part in (lecturer, talker):
            part(SHORT if flags.short else FULL, flags.sheets)
