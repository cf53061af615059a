"""The data of the temporal GAN's stage: sequences, and seconds to look at."""

import functools
from typing import Any

import numpy as np

from lumiere_jax.audio.front_ends import rows_of, waveform
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.runtime import hosts
from lumiere_jax.systems.contract import Feed, Scene, Trained
from lumiere_jax.systems.scenes import longest_segment
from lumiere_jax.systems.temporal_gan.config import Config
from lumiere_jax.systems.temporal_gan.sequences import epoch_items, sequence_batches
from lumiere_jax.systems.temporal_gan.synthesis import animate
from lumiere_jax.training.stage import Batch, Stage

VALIDATION_SEED = 1
# Validation sequences in a batch, and in all, at most.
VALIDATION_BATCH, VALIDATION_MOST = 4, 64


def feed(stage: Stage, config: Config, dataset: Dataset, trained: Trained) -> Feed:
    """Makes the stage's feed."""
    c = config.animator

    def held_out() -> list[Batch]:
        items = epoch_items(dataset, "val", c.frames, mirror=False)
        size = min(VALIDATION_BATCH, items)
        last = min(items, VALIDATION_MOST) // size
        return list(sequence_batches(dataset, "val", c.frames, size, VALIDATION_SEED, last=last))

    @functools.cache
    def scene() -> Scene:
        segment, count, records = longest_segment(dataset, "val")
        frames = np.stack([picture_bytes.decode(r["frame"], dataset.shape) for r in records])
        sound = dataset.sound(segment, count)
        gain = dataset.gain(segment)
        windows = rows_of(waveform(dataset.fps), [sound[:, 0]], count, gain)
        return Scene(windows, frames, sound)

    def make(variables: Any, windows: np.ndarray) -> np.ndarray:
        still = scene().true[0]
        return np.stack(list(animate(config, {"animator": {"G": variables}}, still, windows)))

    return Feed(
        batches=lambda first: sequence_batches(
            dataset,
            "train",
            c.frames,
            stage.batch,
            config.seed,
            c.mirror,
            first,
            stage.steps,
            hosts.own_part(),
        ),
        held_out=held_out,
        needs=dict,
        network="G",
        scene=scene,
        make=make,
    )
