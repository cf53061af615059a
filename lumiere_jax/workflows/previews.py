"""Preview clips in training: a stage's output on validation data beside the ground truth."""

import functools
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lumiere_jax.audio.frame_times import RATE
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.outputs.mark import marked
from lumiere_jax.outputs.video import write_video
from lumiere_jax.systems.contract import Feed
from lumiere_jax.training.log import Clip
from lumiere_jax.training.loop import Preview
from lumiere_jax.training.stage import State
from lumiere_jax.workflows.workdir import origin

CLIPS = "clips"
# Fewest steps of a run that makes previews.
SHORTEST = 50


def make_preview(name: str, feed: Feed, dataset: Dataset, folder: Path) -> Preview:
    """Returns a function that writes `clips/<step>.mp4` into a stage's folder.

    The clip shows the ground truth on the left and the stage's output on the right. Where a clip
    fails, training goes on after a warning.
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
        except Exception as error:  # a failed clip must not end the training
            tqdm.write(f"warning: '{name}' goes on without a clip of step {step}: {error}")
            return None

    return preview
