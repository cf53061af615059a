"""What right.py compares of LumièreNet, of the preset `tiny`."""

import functools
from typing import Any

import jax
import numpy as np
from numerics import (
    Computation,
    Numbers,
    on_cpu,
    random_keypoints,
    random_pictures,
    two_steps,
    used,
)

from configs import lumierenet as presets
from lumiere_jax import vgg
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.synthesis import painter
from lumiere_jax.systems.lumierenet.system import SYSTEM, stages

SIZE = 64


def steps(short: bool) -> dict[str, Computation]:
    """Two steps of each stage, by name; in short without the paper's losses."""
    every = {
        "paper": () if short else ("seqpix2pix", "vae"),
        "lecture": ("seqpix2pix", "vae", "blstm"),
    }
    return {
        f"{name}, losses of {losses}": functools.partial(_steps, losses, name)
        for losses, names in every.items()
        for name in names
    }


def _steps(losses: str, name: str, dtype: str) -> Numbers:
    config = _config(losses, dtype)
    every = stages(config, SIZE)
    b = every[name].batch
    random = np.random.default_rng(2)
    batch = {
        "vae": {"figure": random_pictures(b, SIZE, SIZE), "keypoints": random_keypoints(b)},
        "blstm": {
            "features": random.standard_normal((b, config.blstm.window, 40), np.float32),
            "codes": random.standard_normal((b, config.vae.code), np.float32),
        },
        "seqpix2pix": {
            "figures": random_pictures(b, 3, SIZE, SIZE),
            "frames": random_pictures(b, 3, SIZE, SIZE)[:, ::-1],
            "keypoints": random_keypoints(b, 3),
        },
    }[name]
    frozen: dict[str, Any] = {"vgg": vgg.load_vgg19("random") if losses == "paper" else {}}
    if name == "seqpix2pix":
        frozen["vae"] = used(on_cpu(every["vae"].init, jax.random.key(0)).networks["vae"])
    return two_steps(SYSTEM, config, (SIZE, SIZE), name, frozen, batch)


def synthesis(dtype: str) -> Numbers:
    """Figures and frames of four windows."""
    config = _config("lecture", dtype)
    every = stages(config, SIZE)
    variables = {}
    for stage, networks in SYSTEM.networks.items():
        state = on_cpu(every[stage].init, jax.random.key(0))
        variables[stage] = {network: used(state.networks[network]) for network in networks}
    windows = np.random.default_rng(4).standard_normal((4, config.blstm.window, 40), np.float32)
    figures, frames = painter(config, SIZE, variables)(windows)
    return {"figures": np.asarray(figures), "frames": np.asarray(frames)}


def _config(losses: str, dtype: str) -> Config:
    config = presets.tiny()
    if losses == "paper":
        whole = presets.paper()
        for part in ("perceptual", "pixel"):
            setattr(config.vae, part, getattr(whole.vae, part))
        for part in ("lambda0", "lambda1", "lambda2", "adversarial", "pixel", "motion"):
            setattr(config.seqpix2pix, part, getattr(whole.seqpix2pix, part))
        config.seqpix2pix.reconstructed, config.vgg = 0.0, "random"
    for part in (config.vae, config.blstm, config.seqpix2pix):
        part.dtype = dtype
    return config
