"""Training steps over many devices: parameters on all of them, batches split by examples."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lumiere_jax.errors import UserError
from lumiere_jax.training.guard import guarded
from lumiere_jax.training.stage import Batch, Metrics, Stage, State

Take = Callable[[State, Any, Sequence[Batch]], tuple[State, Metrics]]
"""Takes a step for each batch in one call; metrics have a value for each, or are scalars."""


def data_mesh(batch: int) -> Mesh:
    """Makes a one-axis mesh over the largest number of devices that divides the batch of a pass.

    On several hosts the mesh has all devices: a host without one could not take part.

    Raises:
      UserError: Hosts do not know each other, or the batch cannot be split over all their devices.
    """
    devices = jax.devices()
    if jax.process_count() == 1:
        count = max(n for n in range(1, len(devices) + 1) if batch % n == 0)
        devices = devices[:count]
    elif not jax.distributed.is_initialized():
        raise UserError(
            f"this is one of {jax.process_count()} hosts that do not know each other: "
            "give --multihost to train.py on all of them."
        )
    elif batch % len(devices):
        raise UserError(
            f"a global batch (or a part, where it is accumulated) of {batch} cannot be split over "
            f"{len(devices)} devices on {jax.process_count()} hosts: "
            f"choose a multiple of {len(devices)}."
        )
    return jax.make_mesh(
        (len(devices),), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=devices
    )


def stage_mesh(stage: Stage) -> Mesh:
    """Makes the mesh of a stage, whose step takes `stage.accumulate` parts of a batch in turn."""
    return data_mesh(stage.batch // stage.accumulate)


def whole(mesh: Mesh) -> NamedSharding:
    """Returns the sharding that puts all of an array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def _on_cpu(mesh: Mesh, **options: int) -> dict[str, int] | None:
    """Returns compiler options for CPUs; None for other platforms, whose compilers lack them."""
    return options if mesh.devices.flat[0].platform == "cpu" else None


# By default XLA uses half of AVX-512's registers; with all, a BLSTM's step gains an eighth.
_WIDE = {"xla_cpu_prefer_vector_width": 512}


def first_state(
    stage: Stage, mesh: Mesh, seed: int, initial: Mapping[str, Any] | None = None
) -> State:
    """Makes a stage's state before its first step, on all devices of the mesh.

    Args:
      stage: The stage.
      mesh: Its devices.
      seed: Seed of the key.
      initial: Variables, by network, that replace random ones.
    """
    # The key is made inside, because a key of one host is not a key of all of them.
    init = jax.jit(
        lambda seed, initial: stage.init(jax.random.key(seed), initial),
        out_shardings=whole(mesh),
        # This runs once. At this level it compiles in half of the time, and draws numbers as fast.
        compiler_options=_on_cpu(mesh, xla_backend_optimization_level=1),
    )
    return init(np.uint32(seed), jax.tree.map(np.asarray, dict(initial or {})))


def compile_step(stage: Stage, mesh: Mesh) -> Callable[[State, Any, Batch], tuple[State, Any]]:
    """Compiles a stage's guarded step over the mesh.

    The state is replicated and donated, and the batch is split by examples.
    """
    return jax.jit(
        guarded(stage.step),
        in_shardings=(whole(mesh), whole(mesh), NamedSharding(mesh, PartitionSpec("data"))),
        out_shardings=(whole(mesh), whole(mesh)),
        donate_argnums=0,
        compiler_options=_on_cpu(mesh, **_WIDE),
    )


def compile_steps(stage: Stage, mesh: Mesh) -> Take:
    """Compiles up to `stage.dispatch` steps of the stage as one call.

    The device's loop gets its number of steps as an argument. So a step is compiled once and has
    the same bits, however many come before it in its call.
    """
    if stage.dispatch == 1:
        once = compile_step(stage, mesh)
        return lambda state, frozen, batches: once(state, frozen, place(batches[0], mesh))

    step = guarded(stage.step)

    def steps(state: State, frozen: Any, batches: Batch, count: Any) -> tuple[State, Metrics]:
        def body(i: Any, carry: tuple[State, Metrics]) -> tuple[State, Metrics]:
            state, metrics = step(carry[0], frozen, {k: x[i] for k, x in batches.items()})
            return state, {name: carry[1][name].at[i].set(x) for name, x in metrics.items()}

        first = {name: x[0] for name, x in batches.items()}
        _, one = jax.eval_shape(step, state, frozen, first)
        blank = {name: jnp.zeros((stage.dispatch,), x.dtype) for name, x in one.items()}
        return jax.lax.fori_loop(0, count, body, (state, blank))

    split = NamedSharding(mesh, PartitionSpec(None, "data"))
    compiled = jax.jit(
        steps,
        in_shardings=(whole(mesh), whole(mesh), split, None),
        out_shardings=(whole(mesh), whole(mesh)),
        donate_argnums=0,
        compiler_options=_on_cpu(mesh, **_WIDE),
    )

    def take(state: State, frozen: Any, batches: Sequence[Batch]) -> tuple[State, Metrics]:
        full = [*batches, *[batches[-1]] * (stage.dispatch - len(batches))]
        stacked = {name: np.stack([batch[name] for batch in full]) for name in full[0]}
        return compiled(state, frozen, _placed(stacked, split), np.int32(len(batches)))

    return take


def place(batch: Batch, mesh: Mesh) -> Batch:
    """Puts this host's slice of a batch on the mesh, as global arrays."""
    return _placed(batch, NamedSharding(mesh, PartitionSpec("data")))


def _placed(batch: Batch, sharding: NamedSharding) -> Batch:
    return {
        name: jax.make_array_from_process_local_data(sharding, np.asarray(array))
        for name, array in batch.items()
    }


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts arrays that every host has on all devices of the mesh."""
    if jax.process_count() == 1:
        return jax.device_put(tree, whole(mesh))
    # `device_put` would first send them between hosts, to check that they are the same.
    put = lambda x: jax.make_array_from_process_local_data(whole(mesh), np.asarray(x))  # noqa: E731
    return jax.tree.map(put, tree)


def local(tree: Any) -> Any:
    """Returns replicated arrays as this process's first device holds them, without a copy.

    Computing with them involves no other process.
    """
    return jax.tree.map(lambda x: x.addressable_data(0), tree)
