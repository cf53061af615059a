"""LumièreNet's cases in JAX."""

import contextlib
import dataclasses
import functools
import io
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from cases import FPS, SECONDS, Case, narration

from configs.lumierenet import paper
from lumiere_jax import vgg
from lumiere_jax.frames.generators import UNet
from lumiere_jax.systems.contract import Model, Run
from lumiere_jax.systems.lumierenet import seqpix2pix_losses, synthesis
from lumiere_jax.systems.lumierenet.blstm import blstm_network
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.seqpix2pix import render
from lumiere_jax.systems.lumierenet.seqpix2pix_losses import generator
from lumiere_jax.systems.lumierenet.synthesis import painter
from lumiere_jax.systems.lumierenet.system import SYSTEM, stages
from lumiere_jax.systems.lumierenet.vae import reconstruct, vae_network
from lumiere_jax.training.stage import Batch, Metrics, Stage, State
from systems.lumierenet.cases import arrays

STEPS = 10**9  # so that no schedule ends


def config_of(case: Case) -> Config:
    """The paper's, with its losses, at the case's size."""
    config = paper()
    config.vgg = "random"
    config.blstm.cells, config.seqpix2pix.width = case.cells, case.width
    for part in (config.vae, config.blstm, config.seqpix2pix):
        part.dtype, part.batch, part.steps = case.dtype, case.batch, STEPS
        part.learning_rate = 1e-4
    return config


def stage_of(case: Case) -> tuple[Stage, dict[str, Any]]:
    """A case's stage, and what is frozen in its step."""
    stage = stages(config_of(case), case.size or 32)[case.name]
    stage = stage if case.dropout else _without_chance(stage, arrays(case)["noise"])
    return stage, {"vgg": vgg.load_vgg19("random")}


def _without_chance(stage: Stage, noise: np.ndarray) -> Stage:
    """A stage whose step has no dropout, and this noise."""

    def step(state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
        with (
            mock.patch.object(seqpix2pix_losses, "UNet", functools.partial(UNet, dropout=0.0)),
            mock.patch.object(jax.random, "normal", lambda *_: jnp.asarray(noise)),
        ):
            return stage.step(state, frozen, batch)

    return dataclasses.replace(stage, step=step)


def forward_of(case: Case) -> tuple[Callable[[Any, Any], Any], Any, np.ndarray]:
    """What is in use, its variables by stage and network, and its input."""
    config, batch = config_of(case), arrays(case)
    key, size = jax.random.key(0), case.size
    if case.name == "synthesis":
        return _chain_of(case)
    if case.name == "blstm":
        z_of_a = blstm_network(config)
        variables = jax.jit(z_of_a.init)(key, batch["features"])
        function = jax.jit(lambda v, a: z_of_a.apply(v["blstm"]["blstm"], a))
        return function, {"blstm": {"blstm": variables}}, batch["features"]
    if case.name == "vae":
        vae = vae_network(config, size)
        variables = jax.jit(vae.init)(key, jnp.zeros((1, size, size, 3)), key)
        function = jax.jit(lambda v, w: reconstruct(vae, v["vae"]["vae"], w))
        return function, {"vae": {"vae": variables}}, batch["figure"]
    y_of_w = generator(config, size)
    init = lambda key: y_of_w.init(key, jnp.zeros((1, size, size, 3)), train=False)  # noqa: E731
    function = jax.jit(lambda v, w: render(y_of_w, v["seqpix2pix"]["G"], w))
    return function, {"seqpix2pix": {"G": jax.jit(init)(key)}}, batch["figure"]


def _chain_of(case: Case) -> tuple[Callable[[Any, Any], Any], Any, np.ndarray]:
    """Windows to frames."""
    config, variables = config_of(case), {}
    for name in SYSTEM.networks:
        variables |= forward_of(dataclasses.replace(case, name=name, kind="forward"))[1]
    function = lambda v, a: painter(config, case.size, v)(a)[1]  # noqa: E731
    return function, variables, arrays(case)["features"]


def synthesise(case: Case, seconds: float = SECONDS) -> Callable[[int], None]:
    """What infer.py does, with networks that nobody has trained."""
    from lumiere_jax.commands import infer  # which wants PyAV

    model = model_of(case)
    infer.load_model, infer.read_run = lambda _: model, lambda _: model.run
    synthesis.chunk_frames = lambda _: case.batch
    folder = Path(tempfile.mkdtemp())
    sound = narration(folder, seconds)

    def once(steps: int) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # ours has the answers alone
            for _ in range(steps):
                infer.infer(workdir=folder, audio=sound, out=folder / "video.mp4")

    return once


def model_of(case: Case) -> Model:
    """A model of this case, as a workdir would give it."""
    _, variables, _ = forward_of(case)
    nothing = np.zeros(40, np.float32)
    run = Run(
        size=case.size,
        fps=Fraction(FPS),
        figure="drawn",
        mean=nothing,
        std=nothing + 1,
        consent={},
        drawn_seed=0,
        config=config_of(case),
        geometry=SYSTEM.geometry,
        columns=SYSTEM.columns,
    )
    return Model(system=SYSTEM, run=run, variables=variables)
