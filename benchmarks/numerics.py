"""Fixed numbers for comparisons: variables as training gives them, pictures, and what they make."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sides import QUICKLY

from lumiere_jax.systems.contract import System
from lumiere_jax.training.stage import State, TrainState

Numbers = dict[str, np.ndarray]
Computation = Callable[[str], Numbers]
"""Numbers by name, computed on JAX's default device with products of this dtype."""


def lively_state(state: State) -> State:
    """A first state whose networks answer as trained ones do, see `lively`."""
    networks = {
        name: dataclasses.replace(n, params=lively(n.params), batch_stats=lively(n.batch_stats))
        for name, n in state.networks.items()
    }
    return dataclasses.replace(state, networks=networks)


def lively(tree: Any) -> Any:
    """Numbers of the size that training gives: fresh networks answer everything alike."""
    random = np.random.default_rng(1)

    def filled(path: Any, x: Any) -> Any:
        noise = random.standard_normal(x.shape, np.float32)
        fan = np.sqrt(2 / (x.size / x.shape[-1])) if x.ndim > 1 else 0.1
        positive = jax.tree_util.keystr(path).endswith(("['scale']", "['var']"))
        return jnp.asarray(np.exp(noise * 0.1) if positive else noise * np.float32(fan))

    return jax.tree_util.tree_map_with_path(filled, tree)


def used(network: TrainState) -> Any:
    """A network's variables in use, of the size that training gives."""
    return jax.tree.map(np.asarray, lively(network.inference_variables))


def random_pictures(*shape: int) -> np.ndarray:
    """RGB pictures (..., rows, cols, 3)."""
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def random_keypoints(*lead: int) -> np.ndarray:
    return np.random.default_rng(1).random((*lead, 137, 3), np.float32)


def on_cpu(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the CPU makes of arguments, for any device."""
    with jax.default_device(jax.devices("cpu")[0]):
        return jax.jit(function, compiler_options=QUICKLY)(*arguments)


def two_steps(
    system: System, config: Any, shape: tuple[int, int], name: str, frozen: Any, batch: Any
) -> Numbers:
    """The metrics of two steps of a stage: losses, and the norms of all gradients."""
    stage = system.stages(config, shape)[name]
    state = lively_state(on_cpu(stage.init, jax.random.key(0)))
    device = jax.config.jax_default_device
    state, frozen, batch = jax.device_put((state, frozen, batch), device)
    step = jax.jit(stage.step, compiler_options=QUICKLY if device.platform == "cpu" else None)
    found = {}
    for place in ("first", "second"):
        state, metrics = step(state, frozen, batch)
        found |= {f"{place} {name}": np.asarray(x) for name, x in metrics.items()}
    # Counts: one that is beside the threshold may fall on its other side.
    return {name: x for name, x in found.items() if "accuracy" not in name}
