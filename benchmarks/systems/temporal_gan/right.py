"""What right.py compares of the temporal GAN, of the preset `tiny`."""

import jax
import numpy as np
from numerics import Computation, Numbers, on_cpu, random_pictures, two_steps, used

from configs import temporal_gan as presets
from lumiere_jax.systems.temporal_gan.synthesis import animate
from lumiere_jax.systems.temporal_gan.system import SYSTEM

FACE = (128, 96)


def steps(short: bool) -> dict[str, Computation]:
    """Two steps of its stage."""
    return {"animator": _steps}


def _steps(dtype: str) -> Numbers:
    config = presets.tiny()
    c = config.animator
    c.dtype, c.epoch = dtype, 1
    batch = {
        "frames": random_pictures(c.batch, c.frames, *FACE),
        "still": random_pictures(c.batch, *FACE),
        "windows": np.random.default_rng(3).standard_normal((c.batch, c.frames, 2560), np.float32),
        "lengths": np.full(c.batch, c.frames, np.int32),
    }
    return two_steps(SYSTEM, config, FACE, "animator", {}, batch)


def synthesis(dtype: str) -> Numbers:
    """Frames of six windows, three at a time."""
    config = presets.tiny()
    config.animator.dtype = dtype
    state = on_cpu(SYSTEM.stages(config, FACE)["animator"].init, jax.random.key(0))
    variables = {"animator": {"G": used(state.networks["G"])}}
    windows = np.random.default_rng(5).standard_normal((6, 2560), np.float32) / 4
    made = animate(config, variables, random_pictures(*FACE), windows, chunk=3)
    return {"frames": np.stack(list(made))}
