"""The temporal GAN (Vougioukas, Petridis and Pantic 2018): a still and speech to a talking face.

One stage, `animator`: P(y|x, still), without a pose in between. Faces are aligned, in [-1, 1] for
the networks and uint8 in batches and results.
"""

import copy

from lumiere_jax.inputs.lectures import Dataset
from lumiere_jax.inputs.sequences import epoch_items
from lumiere_jax.systems.system import System
from lumiere_jax.systems.temporal_gan.animator import animator_stage
from lumiere_jax.systems.temporal_gan.config import Config, check_config
from lumiere_jax.systems.temporal_gan.feed import feed
from lumiere_jax.systems.temporal_gan.measures import EVALUATION
from lumiere_jax.systems.temporal_gan.synthesis import animate, speak
from lumiere_jax.training.stage import Stage

__all__ = ["SYSTEM", "Config", "animate", "check_config", "stages"]


def stages(config: Config, shape: tuple[int, int]) -> dict[str, Stage]:
    """The stages by name, in training order."""
    return {"animator": animator_stage(config, shape)}


def fit(config: Config, dataset: Dataset) -> Config:
    """The config with the steps of an epoch, where it leaves them to the footage."""
    c = config.animator
    if c.epoch:
        return config
    fitted = copy.deepcopy(config)
    fitted.animator.epoch = max(1, epoch_items(dataset, "train", c.frames, c.mirror) // c.batch)
    return fitted


SYSTEM = System(
    name="temporal_gan",
    config=Config,
    check=check_config,
    aligned=True,
    networks={"animator": "G"},
    architecture={
        "animator": (
            *("width", "code", "cells", "identity", "noise", "recurrent", "average"),
            *("frame_adversarial", "sequence_adversarial"),
        )
    },
    hears=lambda config: (config.animator.noise_deviation, config.seed),
    fit=fit,
    stages=stages,
    pretrained=lambda config: {},
    feed=feed,
    checks=lambda name, config: {},
    speak=speak,
    evaluation=EVALUATION,
)
