"""LumièreNet's wiring: its stages, and the contract filled in."""

from collections.abc import Iterator
from typing import Any

from lumiere_jax import vgg
from lumiere_jax.audio.features import normalise
from lumiere_jax.audio.front_ends import log_mel, stream
from lumiere_jax.inputs.dataset.columns import APERTURE, FIGURE, FRAME, KEYPOINTS
from lumiere_jax.inputs.dataset.geometry import SQUARE
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.contract import Model, Request, System
from lumiere_jax.systems.lumierenet import health
from lumiere_jax.systems.lumierenet.blstm import blstm_stage
from lumiere_jax.systems.lumierenet.config import Config, check_config
from lumiere_jax.systems.lumierenet.feed import NETWORKS, feed
from lumiere_jax.systems.lumierenet.live import LIVE
from lumiere_jax.systems.lumierenet.measures import EVALUATION
from lumiere_jax.systems.lumierenet.seqpix2pix import seqpix2pix_stage
from lumiere_jax.systems.lumierenet.synthesis import painter, synthesise, synthesise_frames
from lumiere_jax.systems.lumierenet.vae import vae_stage
from lumiere_jax.training.stage import Stage

__all__ = [
    "SYSTEM",
    "Config",
    "check_config",
    "load_vgg",
    "painter",
    "stages",
    "synthesise",
    "synthesise_frames",
]


def stages(config: Config, size: int) -> dict[str, Stage]:
    """Makes the stages by name, in training order."""
    every = (vae_stage(config, size), blstm_stage(config), seqpix2pix_stage(config, size))
    return {stage.name: stage for stage in every}


def load_vgg(config: Config) -> Any:
    """Loads the frozen VGG-19, after a download if needed; returns an empty dict for "none".

    Raises:
      UserError: The weights cannot be had, or they lack a layer.
    """
    if config.vgg == "none":
        return {}
    params = vgg.load_vgg19(config.vgg)
    vgg.check_layers(params, tuple(config.vgg_layers))
    return params


def speak(model: Model, request: Request) -> Iterator[Picture]:
    """Yields a narration's frames."""
    run, narration = model.run, request.narration
    rows = stream(log_mel(run.fps), narration.pieces, narration.frames, narration.gain)
    normal = (normalise(piece, run.mean, run.std, narration.band) for piece in rows)
    return synthesise_frames(run.config, run.size, model.variables, normal)


SYSTEM = System(
    name="lumierenet",
    config=Config,
    check=check_config,
    geometry=SQUARE,
    columns=(FRAME, FIGURE, KEYPOINTS, APERTURE),
    networks={stage: (network,) for stage, network in NETWORKS.items()},
    architecture={
        "vae": ("code", "average"),
        "blstm": ("cells", "window", "delay"),
        "seqpix2pix": ("width", "conditional_discriminator", "lambda1", "lambda2"),
    },
    synthesis_settings=lambda config: (config.blstm.window, config.blstm.delay),
    fit=lambda config, dataset: config,
    stages=lambda config, shape: stages(config, shape[0]),
    pretrained=lambda config: {"vgg": load_vgg(config)},
    feed=feed,
    checks=health.checks,
    speak=speak,
    evaluation=EVALUATION,
    live=LIVE,
)
