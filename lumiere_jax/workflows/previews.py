"""Seconds of the validation split as a stage in training makes them, beside the true ones."""

import functools
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lumiere_jax.audio.features import RATE
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.outputs.mark import marked
from lumiere_jax.outputs.video import write_video
from lumiere_jax.systems.contract import Feed
from lumiere_jax.training.log import Clip
from lumiere_jax.training.loop import Preview
from lumiere_jax.training.stage import State
from lumiere_jax.workflows.workdir import origin

CLIPS = "clips"
# Steps of a run that is more than a trial.
SHORTEST = 50


def make_preview(name: str, feed: Feed, dataset: Dataset, folder: Path) -> Preview:
    """What writes `clips/<step>.mp4` into a stage's folder: left the truth, right the stage's own.

    A clip that cannot be made costs a sentence, not the training.
    """
    record = {**origin(dataset.consent), "stage": name}
    seen = functools.cache(feed.scene)

    def preview(step: int, state: State) -> Clip | None:
        try:
            scene = seen()
            made = feed.make(state.networks[feed.network].inference_variables, scene.given)
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
