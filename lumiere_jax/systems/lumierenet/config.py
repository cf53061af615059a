"""The config of LumièreNet; the defaults are the paper's numbers.

A number that the paper gives has its section beside it; docs/design.md discusses those that it
leaves open. In each stage, `dtype`, float32 or bfloat16, is that of its products; parameters,
statistics and losses stay float32. `accumulate` is the number of parts in which a batch is taken
before the optimiser's step, to save memory.
"""

from dataclasses import dataclass, field

from lumiere_jax import vgg
from lumiere_jax.errors import UserError, printable
from lumiere_jax.systems.config_checks import check_decays, check_numbers, check_parts, check_run

POSITIVE = ("steps", "batch", "learning_rate", "code", "cells", "window", "width", "stride")
POSITIVE += ("accumulate", "dispatch")


@dataclass(kw_only=True)
class PixelLoss:
    """A pixel loss beside the paper's, with weights for parts' boxes; all else weighs 1."""

    pixel: float = 0.0
    mouth: float = 1.0
    eyes: float = 1.0
    hands: float = 1.0
    face: float = 1.0


@dataclass(kw_only=True)
class VAEConfig(PixelLoss):
    """P(w|z), section 3.2. The paper's loss is perceptual; `pixel` adds weighted squared error."""

    code: int = 128  # 3.1
    steps: int = 100_000
    batch: int = 32
    accumulate: int = 1
    learning_rate: float = 2.5e-4  # 4.4
    dtype: str = "float32"
    kl: float = 0.02
    perceptual: float = 1.0
    # Steps over which the rate rises to `learning_rate`.
    warm_up: int = 0
    # Decay of the weights' moving average, which inference uses; 0 uses the weights.
    average: float = 0.0


@dataclass(kw_only=True)
class BLSTMConfig:
    """P(z|a), section 3.3. Frame t reads rows t+delay-window+1 to t+delay."""

    cells: int = 256  # 4.3
    window: int = 15  # 4.3
    delay: int = 0
    steps: int = 1_000_000
    batch: int = 128
    accumulate: int = 1
    # Steps in one call to the device.
    dispatch: int = 1
    learning_rate: float = 1e-6  # 4.4
    # Share of windows that lose all sound above 3 to 7 kHz, as on telephones.
    narrow: float = 0.0
    dtype: str = "float32"


@dataclass(kw_only=True)
class SeqPix2PixConfig(PixelLoss):
    """P(y|w), section 3.4: λ0, λ1, λ2 weigh Eq. 11, 12 and 13.

    `adversarial` weighs G's side of Eq. 10 (1 in the paper); `pixel` adds a weighted L1 of all
    frames of a triplet.
    """

    width: int = 64  # 4.3: pix2pix's
    steps: int = 2_880_000
    batch: int = 1
    accumulate: int = 1
    learning_rate: float = 2e-4  # 4.4
    dtype: str = "float32"
    beta1: float = 0.5  # 4.4
    beta2: float = 0.999  # 4.4
    lambda0: float = 0.05  # 4.4
    lambda1: float = 10.0  # 4.4
    lambda2: float = 10.0  # 4.4
    adversarial: float = 1.0
    # One of every `stride` frames is a target.
    stride: int = 30  # 4.2
    conditional_discriminator: bool = False
    # Weight on the L1 between G's and the real changes from frame to frame.
    motion: float = 0.0
    # Share of triplets whose figures G sees through the VAE, as it does in synthesis.
    reconstructed: float = 0.0


@dataclass(kw_only=True)
class Config:
    """A run.

    `vgg` is download (torchvision's VGG-19 weights, stored in a cache), a file of such weights,
    none (no perceptual terms) or random.
    """

    system: str = "lumierenet"
    seed: int = 0
    vgg: str = "download"
    vgg_layers: tuple[str, ...] = ("pool1", "pool2", "pool3")  # footnotes 4 and 6
    checkpoint_seconds: float = 300.0
    # Keeps the training split, decoded, in device memory; the batches are the same.
    resident: bool = False
    vae: VAEConfig = field(default_factory=VAEConfig)
    blstm: BLSTMConfig = field(default_factory=BLSTMConfig)
    seqpix2pix: SeqPix2PixConfig = field(default_factory=SeqPix2PixConfig)


def check_config(config: Config) -> None:
    """Splits the list of layers, and raises UserError for values that cannot work."""
    check_run(config, "lumierenet")
    # A flag gives the list as one text.
    config.vgg_layers = tuple(
        name.strip() for item in config.vgg_layers for name in item.split(",") if name.strip()
    )
    for name in ("vae", "blstm", "seqpix2pix"):
        check_numbers(name, getattr(config, name), POSITIVE)
        check_parts(name, getattr(config, name))
    check_decays("vae", config.vae, "average")
    check_decays("seqpix2pix", config.seqpix2pix, "beta1", "beta2")
    for name, share in (("seqpix2pix", "reconstructed"), ("blstm", "narrow")):
        if (value := getattr(getattr(config, name), share)) > 1:
            raise UserError(f"--config.{name}.{share}={value}: a share is at most 1.")
    for layer in config.vgg_layers:
        if layer not in vgg.LAYERS:
            raise UserError(
                f"--config.vgg_layers: VGG-19 has no '{layer}'; "
                f"choose from {', '.join(vgg.LAYERS)}."
            )
    if printable(config.vgg) != config.vgg:  # it is stored as text
        raise UserError(
            f"--config.vgg={config.vgg}: the name is no text in UTF-8 on one line: rename the file."
        )
    if config.vgg != "none" and not config.vgg_layers:
        raise UserError("--config.vgg_layers= names no layer: use pool1,pool2,pool3, the paper's.")
    if config.vgg == "none" and config.vae.pixel == 0:
        raise UserError(
            "--config.vgg=none with --config.vae.pixel=0 leaves the VAE no loss: "
            "name a file of VGG-19 weights, or give --config.vae.pixel a weight."
        )
