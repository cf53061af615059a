"""Presets of LumièreNet (Kim and Ganapathi 2019).

paper  the paper's numbers, for an accelerator and hours of footage
small  a clip of seconds to minutes at 128 px on two cores in 25 minutes; from true figures, 26 dB
       after 15 seconds of a gesturing speaker (his mean frame: 23 dB)
demo   the drawn lecturer at 128 px on two cores in six minutes; mouth correlation 0.97, 28 dB
tiny   tests: seconds, and nothing to look at

    python train.py --config=configs/lumierenet.py:small --data=data/ada --workdir=runs/ada
"""

from lumiere_jax.errors import UserError
from lumiere_jax.systems.lumierenet import Config


def paper() -> Config:
    """Every number that the paper gives; what it leaves open is in the README's table."""
    return Config()


def small() -> Config:
    """Width 32, pixel terms that look at mouth, eyes and hands, every frame a target, moving
    averages for inference, and a rate at which a few hundred steps go a long way."""
    config = Config(vgg="none", checkpoint_seconds=60.0)
    v, b, s = config.vae, config.blstm, config.seqpix2pix
    v.steps, v.batch, v.learning_rate, v.kl, v.average = 2_400, 4, 1e-3, 2e-5, 0.99
    v.warm_up = 100
    v.pixel, v.mouth, v.eyes, v.hands, v.face = 1.0, 30.0, 8.0, 8.0, 4.0
    b.steps, b.batch, b.learning_rate = 400, 64, 5e-4
    s.width, s.batch, s.stride, s.steps, s.learning_rate = 32, 2, 1, 2_400, 1e-3
    s.pixel, s.mouth, s.eyes, s.hands, s.face = 50.0, 4.0, 4.0, 4.0, 2.0
    s.adversarial, s.average = 0.01, 0.995
    return config


def demo() -> Config:
    """Six minutes for all three stages on the drawn lecturer."""
    config = small()
    config.checkpoint_seconds = 12.0
    config.vae.steps = 1_000
    config.blstm.steps = 300
    config.seqpix2pix.steps, config.seqpix2pix.batch = 520, 1
    return config


def tiny() -> Config:
    """Every part at its smallest."""
    config = small()
    config.vae.steps, config.vae.batch, config.vae.code, config.vae.warm_up = 4, 2, 8, 0
    config.blstm.steps, config.blstm.batch, config.blstm.cells = 4, 4, 8
    config.seqpix2pix.steps, config.seqpix2pix.batch, config.seqpix2pix.width = 2, 1, 4
    return config


PRESETS = {preset.__name__: preset for preset in (paper, small, demo, tiny)}


def get_config(preset: str = "small") -> Config:
    """The config of a preset, by name."""
    if preset not in PRESETS:
        raise UserError(f"there is no preset '{preset}': choose {', '.join(PRESETS)}.")
    return PRESETS[preset]()
