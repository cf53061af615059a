"""A narration to a labelled lecture video, streamed: memory does not grow with its length."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

import lumiere_jax
from lumiere_jax.audio.features import (
    frames_covering,
    loudness,
    loudness_gain,
    normalise,
    stream_log_mel,
)
from lumiere_jax.inputs.consent import consent_id
from lumiere_jax.inputs.sound import Sound, probe_audio, read_sound, to_mono
from lumiere_jax.outputs.video import check_writable, write_video
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.lumierenet import stages, synthesise
from lumiere_jax.systems.lumierenet.synthesis import Synthesised
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows.workdir import Run, read_run


def load_models(workdir: Path) -> tuple[Run, dict[str, Any]]:
    """A workdir's description and the variables of its networks, by name.

    Raises:
      UserError: the workdir is none, or a stage has not been trained.
    """
    run = read_run(workdir)
    variables: dict[str, Any] = {}
    every = stages(run.config, run.size)
    for stage in every.values():
        checkpoint.require(workdir, stage)
    for name, network in (("vae", "vae"), ("blstm", "blstm"), ("seqpix2pix", "G")):
        variables |= checkpoint.restore_frozen(workdir, every[name], network)
    return run, variables


def speak(run: Run, variables: Any, sound: Sound) -> Iterator[Synthesised]:
    """Figures and frames of a narration, as many as cover its last sample."""

    def mono() -> Iterator[Any]:
        return to_mono(read_sound(sound.path), sound.rate)

    frames = frames_covering(sound.samples, run.fps, sound.rate)
    rows = stream_log_mel(mono(), run.fps, frames, loudness_gain(mono()))
    normal = (normalise(piece, run.mean, run.std) for piece in rows)
    return synthesise(run.config, run.size, variables, normal)


def record_of(run: Run) -> dict[str, Any]:
    """What a video says of itself, beside that it is synthetic."""
    return {
        "generator": f"lumiere_jax {lumiere_jax.__version__}",
        "model": model_id(run),
        "consent": consent_id(run.consent),
        "who": run.consent.get("who"),
    }


def model_id(run: Run) -> str:
    """A short identifier of the run: its config, its data's statistics and its consent."""
    return consent_id({"config": repr(run.config), "mean": run.mean.tolist(), "size": run.size})


def infer(*, workdir: Path, audio: Path, out: Path) -> int:
    """Writes the video and returns its number of frames.

    Raises:
      UserError: anything about the workdir, the narration or the output's name.
    """
    check_writable(out)
    sound = probe_audio(audio)
    run, variables = load_models(workdir)
    if loudness(to_mono(read_sound(audio), sound.rate)) == -float("inf"):
        tqdm.write(f"warning: {audio} is silent, so the lecturer keeps still.")
    total = frames_covering(sound.samples, run.fps, sound.rate)

    def frames() -> Iterator[Picture]:
        made = (result.frame for result in speak(run, variables, sound))
        yield from tqdm(made, "synthesis", total, unit="frame", dynamic_ncols=True)

    return write_video(
        out,
        frames(),
        run.fps,
        read_sound(audio),
        sound.rate,
        sound.channels,
        record_of(run),
    )
