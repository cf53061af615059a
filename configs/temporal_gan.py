"""Presets of the temporal GAN (Vougioukas, Petridis and Pantic 2018).

paper    the paper's numbers alone
small    for two cores: ten minutes, whatever the footage
demo     small for the drawn faces: six minutes
tiny     tests: nothing to look at

Behind a preset's name, what is left out of it: -l1 (no discriminator, and the whole picture in the
reconstruction: Table 2's first row), -frame (no sequence discriminator: its second) and -static
(frames that know their own window of sound alone: Table 3's baseline).

    python train.py --config=configs/temporal_gan.py:small --data=data/faces --workdir=runs/faces
    python train.py --config=configs/temporal_gan.py:small-static --data=... --workdir=...
"""

from lumiere_jax.errors import UserError
from lumiere_jax.systems.temporal_gan.config import Config


def paper() -> Config:
    """Every number that the paper gives; what it leaves open is in docs/faces.md."""
    return Config()


def small() -> Config:
    """A quarter of the width, shorter sequences of more faces, an epoch of as many steps whatever
    the footage, and a weight on the upper half of the face, which otherwise the discriminators
    alone would teach. Theirs is small: at the paper's the mouth does not begin to move within so
    few steps.
    """
    config = Config(checkpoint_seconds=60.0)
    c = config.animator
    c.width, c.frames, c.batch, c.steps, c.epoch = 16, 6, 8, 1_000, 50
    c.learning_rate, c.frame_learning_rate, c.sequence_learning_rate = 1e-3, 1e-4, 5e-5
    c.frame_adversarial = c.sequence_adversarial = 0.01
    c.upper, c.average, c.decay_after = 0.3, 0.99, 10
    return config


def demo() -> Config:
    """For the drawn faces."""
    config = small()
    c = config.animator
    c.steps, c.decay_after, c.patience = 600, 6, 0
    return config


def tiny() -> Config:
    """Every part at its smallest."""
    config = small()
    c = config.animator
    c.steps, c.batch, c.frames, c.width, c.epoch = 4, 2, 6, 2, 0
    c.code, c.cells, c.identity, c.noise = 8, 8, 4, 2
    return config


def l1(config: Config) -> None:
    """Table 2's first row."""
    config.animator.frame_adversarial = config.animator.sequence_adversarial = 0.0
    config.animator.upper = 1.0


def frame(config: Config) -> None:
    """Its second."""
    config.animator.sequence_adversarial = 0.0


def static(config: Config) -> None:
    """Table 3's baseline."""
    frame(config)
    config.animator.recurrent = False


PRESETS = {preset.__name__: preset for preset in (paper, small, demo, tiny)}
WITHOUT = {part.__name__: part for part in (l1, frame, static)}


def get_config(preset: str = "small") -> Config:
    """The config of a preset, by name."""
    name, _, part = preset.partition("-")
    if name not in PRESETS or (part and part not in WITHOUT):
        raise UserError(
            f"there is no preset '{preset}': choose {', '.join(PRESETS)}, with -l1, -frame or "
            "-static behind it."
        )
    config = PRESETS[name]()
    if part:
        WITHOUT[part](config)
    return config
