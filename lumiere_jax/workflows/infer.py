"""A narration to a labelled lecture video, streamed: memory does not grow with its length."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lumiere_jax.audio.features import (
    frames_covering,
    gain_to_loudness,
    loudness,
    normalise,
    stream_log_mel,
)
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.sound import Sound, probe_audio, read_sound, to_mono
from lumiere_jax.outputs.video import check_writable, write_video
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.lumierenet import stages, synthesise
from lumiere_jax.systems.lumierenet.synthesis import Synthesised
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows.workdir import Run, check_follows, origin, read_run


@dataclass(frozen=True)
class Model:
    """A trained workdir, read: its description, its networks' variables by name, and how many
    steps each stage has taken."""

    run: Run
    variables: dict[str, Any]
    steps: dict[str, int]

    @cached_property
    def id(self) -> str:
        """A short identifier of everything that decides what the model says and shows."""
        heard = self.run.config.blstm
        facts = (self.run.size, str(self.run.fps), heard.window, heard.delay)
        digest = hashlib.sha256(json.dumps(facts).encode())
        for leaf in jax.tree.leaves((self.run.mean, self.run.std, self.variables)):
            digest.update(np.asarray(leaf).tobytes())
        return digest.hexdigest()[:16]

    @property
    def record(self) -> dict[str, Any]:
        """What a video says of itself, beside that it is synthetic."""
        return {**origin(self.run.consent), "model": self.id}


def load_model(workdir: Path) -> Model:
    """The model of a workdir; says so where a stage has not taken all of its steps.

    Raises:
      UserError: the workdir is none, a stage has not been trained, or not on what it needs.
    """
    run = read_run(workdir)
    every = stages(run.config, run.size)
    steps = {name: checkpoint.require(workdir, stage) for name, stage in every.items()}
    variables: dict[str, Any] = {}
    for name, network in (("vae", "vae"), ("blstm", "blstm"), ("seqpix2pix", "G")):
        for needed in every[name].needs:
            check_follows(workdir, name, needed, steps[needed])
        if steps[name] < every[name].steps:
            tqdm.write(f"warning: '{name}' has taken {steps[name]} of {every[name].steps} steps.")
        variables |= checkpoint.restore_frozen(workdir, every[name], network)
    return Model(run, variables, steps)


def speak(model: Model, sound: Sound, gain: float) -> Iterator[Synthesised]:
    """Figures and frames of a narration, as many as cover its last sample."""
    run = model.run
    frames = frames_covering(sound.samples, run.fps, sound.rate)
    rows = stream_log_mel(to_mono(read_sound(sound.path), sound.rate), run.fps, frames, gain)
    normal = (normalise(piece, run.mean, run.std) for piece in rows)
    return synthesise(run.config, run.size, model.variables, normal)


def infer(*, workdir: Path, audio: Path, out: Path) -> int:
    """Writes the video and returns its number of frames.

    Raises:
      UserError: anything about the workdir, the narration or the output's name.
    """
    check_writable(out)
    sound = probe_audio(audio)
    if out.exists() and out.samefile(audio):
        raise UserError(f"--out={out} is the narration itself: give the video another name.")
    if sound.truncated:
        tqdm.write(f"{audio} is cut off: the {sound.seconds:.1f} s that are whole are spoken.")
    model = load_model(workdir)
    level = loudness(to_mono(read_sound(audio), sound.rate))
    if level == -float("inf"):
        tqdm.write(f"warning: {audio} is silent, so the lecturer keeps still.")
    fps = model.run.fps
    total = frames_covering(sound.samples, fps, sound.rate)

    def frames() -> Iterator[Picture]:
        made = (result.frame for result in speak(model, sound, gain_to_loudness(level)))
        yield from tqdm(made, "synthesis", total, unit="frame", dynamic_ncols=True)

    return write_video(
        out,
        frames(),
        fps,
        read_sound(audio),
        sound.rate,
        sound.channels,
        model.record,
    )
