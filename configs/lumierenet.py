"""Presets of LumièreNet (Kim and Ganapathi 2019).

lecture  what to pick on an accelerator, with hours of footage: the paper, and what helps
paper    the paper's numbers alone
small    lecture on two cores, a clip of seconds to minutes at 128 px, in about 25 minutes
demo     the drawn lecturer at 128 px on two cores, in about ten minutes; from true figures 28 dB,
         and the mouth follows the voice with a correlation of 0.97
tiny     tests: seconds, and nothing to look at

    python train.py --config=configs/lumierenet.py:small --data=data/ada --workdir=runs/ada
"""

from lumiere_jax.errors import UserError
from lumiere_jax.systems.lumierenet.config import Config


def paper() -> Config:
    """Every number that the paper gives; what it leaves open is in docs/design.md."""
    return Config()


def lecture() -> Config:
    """The paper's stages, and what was seen to help on held-out footage; `make ablation` takes
    each of it away again."""
    config = Config()
    v, s = config.vae, config.seqpix2pix
    # Figures are drawings: pixels, weighted where people look, in place of VGG-19's features.
    v.perceptual, v.pixel, v.mouth, v.eyes, v.hands, v.face = 0.0, 1.0, 30.0, 8.0, 8.0, 4.0
    v.kl, v.average, v.warm_up = 2e-5, 0.99, 100
    # Telephones and old recordings of other people are understood better for it.
    config.blstm.narrow = 0.5
    s.pixel, s.mouth, s.eyes, s.hands, s.face = 50.0, 4.0, 4.0, 4.0, 2.0
    s.adversarial = 0.01
    # G is trained on what it gets in synthesis too.
    s.reconstructed = 0.5
    # P is more than half of a step, and does not touch what flickers: the change between frames.
    s.lambda1, s.lambda2, s.motion = 0.0, 0.0, 100.0
    return config


def two_cores(config: Config, triplets: int) -> Config:
    """A config's losses at a width, with a sampling and at rates for minutes on two cores."""
    config.checkpoint_seconds = 60.0
    v, b, s = config.vae, config.blstm, config.seqpix2pix
    # Figures of fewer steps say nothing of what is drawn from them.
    v.steps, v.batch, v.learning_rate, v.warm_up = max(triplets, 300), 4, 1e-3, 100
    b.steps, b.batch, b.learning_rate = 400, 64, 5e-4
    s.width, s.batch, s.stride, s.steps, s.learning_rate = 32, 1, 1, triplets, 1e-3
    return config


def small() -> Config:
    """`lecture` for two cores, without VGG-19: its weights are not everyone's."""
    config = two_cores(lecture(), triplets=2_400)
    config.vgg = "none"
    # Two triplets at once take 1.5 times as long as one.
    config.seqpix2pix.batch, config.seqpix2pix.steps = 2, 4_000
    return config


def demo() -> Config:
    """At most a thousand steps of each stage, for the drawn lecturer."""
    config = small()
    config.checkpoint_seconds = 12.0
    config.vae.steps, config.blstm.steps = 1_000, 300
    config.seqpix2pix.steps, config.seqpix2pix.batch = 900, 1
    return config


def tiny() -> Config:
    """Every part at its smallest."""
    config = small()
    config.vae.steps, config.vae.batch, config.vae.code, config.vae.warm_up = 4, 2, 8, 0
    config.blstm.steps, config.blstm.batch, config.blstm.cells = 4, 4, 8
    config.seqpix2pix.steps, config.seqpix2pix.batch, config.seqpix2pix.width = 2, 1, 4
    return config


PRESETS = {preset.__name__: preset for preset in (lecture, paper, small, demo, tiny)}


def get_config(preset: str = "small") -> Config:
    """The config of a preset, by name."""
    if preset not in PRESETS:
        raise UserError(f"there is no preset '{preset}': choose {', '.join(PRESETS)}.")
    return PRESETS[preset]()
