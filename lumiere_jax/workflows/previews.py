"""Seconds of the validation split as a stage in training makes them, beside the true ones."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from lumiere_jax.audio.features import RATE, normalise
from lumiere_jax.codes.recurrent import window_steps
from lumiere_jax.inputs import archive
from lumiere_jax.inputs.lectures import Dataset
from lumiere_jax.outputs.video import marked, write_video
from lumiere_jax.systems.lumierenet import Config
from lumiere_jax.systems.lumierenet.blstm import blstm_network
from lumiere_jax.systems.lumierenet.seqpix2pix import generator, render
from lumiere_jax.systems.lumierenet.vae import reconstruct, vae_network
from lumiere_jax.systems.pictures import to_uint8
from lumiere_jax.training.log import Clip
from lumiere_jax.training.loop import Preview
from lumiere_jax.training.stage import State
from lumiere_jax.workflows.batches import in_batches
from lumiere_jax.workflows.workdir import origin

CLIPS = "clips"
SECONDS = 5
BATCH = 8
# Steps of a run that is more than a trial.
SHORTEST = 50


class Scene(NamedTuple):
    """Neighbouring frames: what a stage is given, what it should make, and the samples heard."""

    given: np.ndarray
    true: np.ndarray
    sound: np.ndarray


def make_preview(
    name: str, config: Config, dataset: Dataset, folder: Path, vae: Callable[[], Any]
) -> Preview:
    """What writes `clips/<step>.mp4` into a stage's folder: left the truth, right the stage's own.

    `vae` gives the VAE's variables; only the stage `blstm` asks. A clip that cannot be made
    costs a sentence, not the training.
    """
    network = {"vae": "vae", "blstm": "blstm", "seqpix2pix": "G"}[name]
    record = {**origin(dataset.consent), "stage": name}

    @functools.cache
    def prepared() -> tuple[Scene, Callable[[Any, Any], jax.Array]]:
        return _scene(name, config, dataset), _maker(name, config, dataset.size, vae)

    def preview(step: int, state: State) -> Clip | None:
        try:
            scene, make = prepared()
            variables = state.networks[network].inference_variables
            made = in_batches(functools.partial(make, variables), BATCH, scene.given)
            both = [np.concatenate(pair, 1) for pair in zip(scene.true, made, strict=True)]
            pictures = np.stack(list(marked(both)))
            path, known = folder / CLIPS / f"{step}.mp4", {**record, "step": step}
            path.parent.mkdir(exist_ok=True)
            write_video(path, pictures, dataset.fps, [scene.sound], RATE, 1, known, marks=False)
            return Clip(pictures, dataset.fps, scene.sound, RATE)
        except Exception as error:  # no clip is worth a training
            tqdm.write(f"warning: '{name}' goes on without a clip of step {step}: {error}")
            return None

    return preview


def _scene(name: str, config: Config, dataset: Dataset) -> Scene:
    """The first seconds of the longest piece to validate on."""
    segment = max((s for s in dataset.segments if s.split == "val"), key=lambda s: s.frames)
    count = min(segment.frames, round(SECONDS * dataset.fps))
    source = dataset.records("val")
    records = [source[segment.offset + i] for i in range(count)]
    figures = np.stack([archive.decode(record["figure"], dataset.shape) for record in records])
    sound = dataset.sound(segment, count)
    if name == "vae":
        return Scene(figures, figures, sound)
    if name == "seqpix2pix":
        frames = np.stack([archive.decode(record["frame"], dataset.shape) for record in records])
        return Scene(figures, frames, sound)
    rows = normalise(np.stack([r["features"] for r in records]), dataset.mean, dataset.std)
    heard = rows[window_steps(count, config.blstm.window, config.blstm.delay)]
    return Scene(heard, figures, sound)


def _maker(
    name: str, config: Config, size: int, vae: Callable[[], Any]
) -> Callable[[Any, Any], jax.Array]:
    """A stage's network variables and inputs to uint8 pictures."""
    w_of_z = vae_network(config, size)
    if name == "vae":
        return jax.jit(functools.partial(reconstruct, w_of_z))
    if name == "seqpix2pix":
        return jax.jit(functools.partial(render, generator(config, size)))
    z_of_a = blstm_network(config)

    @jax.jit
    def figures_of(frozen: Any, variables: Any, a: Any) -> jax.Array:
        z = z_of_a.apply(variables, a)
        w: Any = w_of_z.apply(frozen, z, method="decode")
        return to_uint8(w, low=0.0)

    # Arrays of no device in particular go where the stage's own are.
    return functools.partial(figures_of, jax.tree.map(np.asarray, vae()))
