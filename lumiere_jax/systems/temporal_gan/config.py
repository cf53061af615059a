"""The config of the temporal GAN; the defaults are the paper's numbers.

A number that the paper gives has its section beside it; docs/faces.md discusses those that it
leaves open. `dtype`, float32 or bfloat16, is that of products; parameters, statistics and losses
stay float32.
"""

from dataclasses import dataclass, field

from lumiere_jax.errors import UserError
from lumiere_jax.systems.config_checks import check_decays, check_numbers, check_run

POSITIVE = ("steps", "batch", "frames", "learning_rate", "frame_learning_rate", "width")
POSITIVE += ("sequence_learning_rate", "code", "cells", "noise", "identity", "rate_decay")


@dataclass(kw_only=True)
class AnimatorConfig:
    """P(y|x, still), section 3. `reconstruction` is the λ of Eq. 3, the weight of Eq. 2.

    An adversarial weight of 0 leaves its discriminator out.
    """

    steps: int = 500_000
    batch: int = 16
    # Most frames of a sequence: those of a clip of GRID.
    frames: int = 75
    width: int = 64
    code: int = 256
    cells: int = 256  # 3.1.2
    identity: int = 50  # 3.1.1
    noise: int = 10  # 3.1.3
    noise_deviation: float = 0.33
    # False is the static baseline, 4.4: a frame depends on its own window of sound alone.
    recurrent: bool = True
    dtype: str = "float32"
    learning_rate: float = 2e-4  # 3.3
    frame_learning_rate: float = 1e-3  # 3.3
    sequence_learning_rate: float = 5e-5  # 3.3
    # Factor on the first two rates at the end of each epoch, from epoch `decay_after` on.
    rate_decay: float = 0.9  # 3.3
    decay_after: int = 20  # 3.3
    # Steps of an epoch; 0 takes as many as the footage has batches.
    epoch: int = 0
    # Epochs without a lower `reconstruction` in validation that end a run; 0 never ends it early.
    patience: int = 10  # 3.3
    beta1: float = 0.5
    beta2: float = 0.999
    reconstruction: float = 400.0  # 3.3
    # Weight of the upper half's pixels in Eq. 2.
    upper: float = 0.0
    frame_adversarial: float = 1.0
    sequence_adversarial: float = 1.0
    # Trains on a mirrored copy of every sequence, too.
    mirror: bool = True  # 4.1
    # Decay of G's moving average, which inference uses; 0 uses G.
    average: float = 0.0


@dataclass(kw_only=True)
class Config:
    """A run."""

    system: str = "temporal_gan"
    seed: int = 0
    checkpoint_seconds: float = 300.0
    animator: AnimatorConfig = field(default_factory=AnimatorConfig)


def check_config(config: Config) -> None:
    """Raises UserError for values that cannot work, before anything is built."""
    check_run(config, "temporal_gan")
    c = config.animator
    check_numbers("animator", c, POSITIVE)
    check_decays("animator", c, "beta1", "beta2", "average")
    if c.rate_decay > 1:
        raise UserError(f"--config.animator.rate_decay={c.rate_decay}: rates do not rise.")
    if c.frames < 2:
        raise UserError(f"--config.animator.frames={c.frames}: a sequence has 2 frames or more.")
    if not (c.reconstruction or c.frame_adversarial or c.sequence_adversarial):
        raise UserError(
            "--config.animator.reconstruction=0 without a discriminator leaves the animator no "
            "loss: give one of them a weight."
        )
