"""One case in JAX: the stages' own training step, or the networks as synthesis runs them.

  python benchmarks/ours.py CASE [FOLDER]

CASE is JSON. With FOLDER it writes there what the twin is compared with, and ends.
"""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cases import TOTAL, Case, arrays, small
from rounds import serve

from configs.lumierenet import paper
from lumiere_jax import vgg
from lumiere_jax.frames.generators import UNet
from lumiere_jax.systems.lumierenet import Config, seqpix2pix, stages
from lumiere_jax.systems.lumierenet.blstm import blstm_network
from lumiere_jax.systems.lumierenet.seqpix2pix import generator, render
from lumiere_jax.systems.lumierenet.vae import reconstruct, vae_network
from lumiere_jax.training import loop
from lumiere_jax.training.stage import Stage


def config_of(case: Case) -> Config:
    """The paper's, with its losses, at the case's size."""
    config = paper()
    config.vgg = "random"
    config.blstm.cells, config.seqpix2pix.width = case.cells, case.width
    for part in (config.vae, config.blstm, config.seqpix2pix):
        part.dtype, part.batch, part.steps = case.dtype, case.batch, int(TOTAL)
        part.learning_rate = 1e-4
    return config


def training(case: Case) -> tuple[Stage, Any, dict[str, Any], Callable[[Any, Any], Any]]:
    """The stage, its first state, what it needs frozen, and its compiled step."""
    config = config_of(case)
    stage = stages(config, case.size or 32)[case.name]
    frozen = {"vgg": vgg.load_vgg19("random")}
    mesh = loop.data_mesh(case.batch)
    step = loop.compile_step(stage, mesh)
    state = jax.jit(stage.init)(jax.random.key(0))
    batch = loop.place(arrays(case), mesh)
    return stage, state, frozen, lambda state, frozen: step(state, frozen, batch)


def train(case: Case) -> Callable[[int], None]:
    _, state, frozen, step = training(case)

    def run(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            state, metrics = step(state, frozen)
        jax.block_until_ready((state, metrics))

    return run


def forward(case: Case) -> Callable[[int], None]:
    function, variables, x = forward_of(case)

    def run(steps: int) -> None:
        for _ in range(steps):
            y = function(variables, x)
        jax.block_until_ready(y)

    return run


def forward_of(case: Case) -> tuple[Callable[[Any, Any], Any], Any, np.ndarray]:
    """The network in use, its variables, and its input."""
    config, batch = config_of(case), arrays(case)
    key, size = jax.random.key(0), case.size
    if case.name == "blstm":
        z_of_a = blstm_network(config)
        variables = jax.jit(z_of_a.init)(key, batch["features"])
        return jax.jit(z_of_a.apply), variables, batch["features"]
    if case.name == "vae":
        vae = vae_network(config, size)
        variables = jax.jit(vae.init)(key, jnp.zeros((1, size, size, 3)), key)
        return jax.jit(lambda v, w: reconstruct(vae, v, w)), variables, batch["figure"]
    y_of_w = generator(config, size)
    init = lambda key: y_of_w.init(key, jnp.zeros((1, size, size, 3)), train=False)  # noqa: E731
    return jax.jit(lambda v, w: render(y_of_w, v, w)), jax.jit(init)(key), batch["figure"]


def write_expected(case: Case, folder: Path) -> None:
    """Variables, and what a step makes of them: losses and the norms of gradients, or outputs."""
    case = small(case)
    seqpix2pix.UNet = lambda *sizes: UNet(*sizes, dropout=0.0)
    noise = arrays(case)["noise"]
    if case.kind == "train":
        normal, jax.random.normal = jax.random.normal, lambda *_: jnp.asarray(noise)
        _, state, frozen, step = training(case)
        networks = {
            name: dataclasses.replace(n, params=_lively(n.params), statistics=_lively(n.statistics))
            for name, n in state.networks.items()
        }
        state = dataclasses.replace(state, networks=networks)
        flat = _flat({name: n.variables for name, n in networks.items()} | {"vgg": frozen["vgg"]})
        state, metrics = step(state, frozen)
        jax.random.normal = normal
        expected = {f"expected/{k}": v for k, v in metrics.items() if k != "learning_rate"}
    else:
        function, variables, x = forward_of(case)
        variables = _lively(variables)
        flat = _flat({case.name: variables})
        expected = {"expected/output": function(variables, x)}
    np.savez(folder / "expected.npz", **flat, **{k: np.asarray(v) for k, v in expected.items()})


def _lively(tree: Any) -> Any:
    """Numbers of the size that training gives: fresh networks answer everything alike."""
    random = np.random.default_rng(1)

    def filled(path: Any, x: Any) -> Any:
        noise = random.standard_normal(x.shape, np.float32)
        fan = np.sqrt(2 / (x.size / x.shape[-1])) if x.ndim > 1 else 0.1
        positive = jax.tree_util.keystr(path).endswith(("['scale']", "['var']"))
        return jnp.asarray(np.exp(noise * 0.1) if positive else noise * np.float32(fan))

    return jax.tree_util.tree_map_with_path(filled, tree)


def _flat(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree.leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.array(x) for path, x in leaves
    }


if __name__ == "__main__":
    case = Case(**json.loads(sys.argv[1]))
    if sys.argv[2:]:
        write_expected(case, Path(sys.argv[2]))
    else:
        serve(train(case) if case.kind == "train" else forward(case))
