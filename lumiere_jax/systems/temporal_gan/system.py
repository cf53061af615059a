"""The temporal GAN's wiring: its stage, and the contract filled in."""

import copy

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.columns import APERTURE, FRAME, KEYPOINTS
from lumiere_jax.inputs.dataset.geometry import FACE
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.systems.contract import System
from lumiere_jax.systems.temporal_gan.animator import animator_stage
from lumiere_jax.systems.temporal_gan.config import Config, check_config
from lumiere_jax.systems.temporal_gan.feed import feed
from lumiere_jax.systems.temporal_gan.measures import EVALUATION
from lumiere_jax.systems.temporal_gan.sequences import epoch_items
from lumiere_jax.systems.temporal_gan.synthesis import animate, speak
from lumiere_jax.training.stage import Stage

# Fewest steps of patience: an early end after fewer would mean nothing.
FEWEST_STEPS = 100

__all__ = ["SYSTEM", "Config", "animate", "check_config", "stages"]


def stages(config: Config, shape: tuple[int, int]) -> dict[str, Stage]:
    """Makes the stages by name, in training order."""
    return {"animator": animator_stage(config, shape)}


def fit(config: Config, dataset: Dataset) -> Config:
    """Returns the config with the steps of an epoch, where it leaves them to the footage.

    Raises:
      UserError: The footage is too short for `patience` to mean anything.
    """
    c = config.animator
    if c.epoch:
        return config
    steps = epoch_items(dataset, "train", c.frames, c.mirror) // c.batch
    if c.patience and steps * c.patience < FEWEST_STEPS:
        raise UserError(
            f"{dataset.folder} makes epochs of {steps} steps, and {c.patience} without a gain end "
            "the training: bring more footage, or count otherwise, with --config.animator.epoch=50."
        )
    fitted = copy.deepcopy(config)
    fitted.animator.epoch = max(1, steps)
    return fitted


SYSTEM = System(
    name="temporal_gan",
    config=Config,
    check=check_config,
    geometry=FACE,
    columns=(FRAME, KEYPOINTS, APERTURE),
    networks={"animator": ("G",)},
    architecture={
        "animator": (
            *("width", "code", "cells", "identity", "noise", "recurrent", "average"),
            *("frame_adversarial", "sequence_adversarial"),
        )
    },
    synthesis_settings=lambda config: (config.animator.noise_deviation, config.seed),
    fit=fit,
    stages=stages,
    pretrained=lambda config: {},
    feed=feed,
    checks=lambda name, config: {},
    speak=speak,
    evaluation=EVALUATION,
    request_needs=("still",),
)
