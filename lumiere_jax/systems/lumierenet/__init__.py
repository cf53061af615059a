"""LumièreNet (Kim and Ganapathi 2019): P(y|x) = P(y|w) P(w|z) P(z|a), each factor a stage.

`vae` learns z ↔ w from pose figures, `blstm` a → z from audio windows and the VAE's codes,
`seqpix2pix` w → y from triplets of figures and frames. Figures are in [0, 1] for the VAE and
figures and frames in [-1, 1] for SeqPix2Pix; batches and results are uint8.
"""

from typing import Any

from lumiere_jax import vgg
from lumiere_jax.systems.lumierenet.blstm import blstm_stage
from lumiere_jax.systems.lumierenet.config import Config, check_config
from lumiere_jax.systems.lumierenet.seqpix2pix import seqpix2pix_stage
from lumiere_jax.systems.lumierenet.synthesis import painter, synthesise, synthesise_frames
from lumiere_jax.systems.lumierenet.vae import vae_stage
from lumiere_jax.training.stage import Stage

__all__ = [
    "Config",
    "check_config",
    "load_vgg",
    "painter",
    "stages",
    "synthesise",
    "synthesise_frames",
]


def stages(config: Config, size: int) -> dict[str, Stage]:
    """The stages by name, in training order."""
    every = (vae_stage(config, size), blstm_stage(config), seqpix2pix_stage(config, size))
    return {stage.name: stage for stage in every}


def load_vgg(config: Config) -> Any:
    """The frozen VGG-19, fetched if it has to be, or an empty dict.

    Raises a UserError where it cannot be had or the weights lack a layer.
    """
    if config.vgg == "none":
        return {}
    params = vgg.load_vgg19(config.vgg)
    vgg.check_layers(params, tuple(config.vgg_layers))
    return params
