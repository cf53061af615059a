"""The training loop: batches in, checkpoints and logs out. It knows nothing of what it trains."""

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tensorboardX import SummaryWriter
from tqdm import tqdm

from lumiere_jax.errors import UserError, reason
from lumiere_jax.training import checkpoint
from lumiere_jax.training.stage import Batch, Stage, State

Batches = Callable[[int], Iterator[Batch]]
"""Batches from a step on: a pure function of the seed and the step."""


@contextmanager
def lock(workdir: Path, name: Path | None = None) -> Iterator[None]:
    """Holds `workdir` for one process; a killed process lets go of it by itself.

    Errors speak of `name` where the user knows the folder by another.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        handle = open(workdir / ".lock", "w")
    except OSError as error:
        raise UserError(
            f"{name or workdir} cannot be written ({reason(error)}): name another folder."
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{name or workdir} is in use by another run: wait for it, or name another folder."
            ) from error
        yield


def data_mesh(batch: int) -> Mesh:
    """A one-axis mesh over the largest number of devices that divides the global batch."""
    devices = jax.devices()
    if jax.process_count() == 1:
        count = max(n for n in range(1, len(devices) + 1) if batch % n == 0)
        devices = devices[:count]
    elif batch % len(devices):
        raise UserError(
            f"a global batch of {batch} cannot be split over {len(devices)} devices on "
            f"{jax.process_count()} hosts: choose a multiple of {len(devices)}."
        )
    return jax.make_mesh(
        (len(devices),), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=devices
    )


def compile_step(stage: Stage, mesh: Mesh) -> Callable[[State, Any, Batch], tuple[State, Any]]:
    """The stage's step over the mesh: state replicated and donated, batch split by examples."""
    whole, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("data"))
    return jax.jit(
        stage.step,
        in_shardings=(whole, whole, split),
        out_shardings=(whole, whole),
        donate_argnums=0,
    )


def place(batch: Batch, mesh: Mesh) -> Batch:
    """This host's slice of a batch as global arrays on the mesh."""
    split = NamedSharding(mesh, PartitionSpec("data"))
    return {
        name: jax.make_array_from_process_local_data(split, np.asarray(array))
        for name, array in batch.items()
    }


class _Log:
    """JSON lines and TensorBoard events; on resuming, lines of lost steps are dropped."""

    def __init__(self, folder: Path, step: int):
        self.path = folder / "log.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        self.path.write_text("".join(line + "\n" for line in kept))
        self.events = SummaryWriter(str(folder / "events"), purge_step=step + 1)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        with self.path.open("a") as handle:
            handle.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self.events.add_scalar(name, value, step)

    def picture(self, step: int, sheet: np.ndarray) -> None:
        self.events.add_image("pictures", sheet, step, dataformats="HWC")

    def close(self) -> None:
        self.events.close()


def train(
    stage: Stage,
    batches: Batches,
    held_out: Callable[[], list[Batch]],
    frozen: Any,
    workdir: Path,
    *,
    seed: int,
    metadata: dict[str, Any],
    checkpoint_seconds: float = 300.0,
    reports: int = 20,
) -> State:
    """Trains a stage to its number of steps, from its last checkpoint where there is one.

    Metrics are fetched a step late, so that the device never waits for the host. `reports`
    times in a run, the batches that `held_out` gives are measured and a sheet of pictures is
    kept; neither they nor `batches` are asked for when nothing is left to do.

    Raises:
      UserError: a loss, or a weight that would be saved, is not finite.
    """
    folder = workdir / stage.name
    mesh = data_mesh(stage.batch)
    whole = NamedSharding(mesh, PartitionSpec())
    with checkpoint.open_checkpoints(folder) as manager:
        first = manager.latest_step() or 0
        if first:
            state = checkpoint.restore(manager, first, checkpoint.abstract_state(stage, whole))
        else:
            state = jax.jit(stage.init, out_shardings=whole)(jax.random.key(seed))
        if first >= stage.steps:
            tqdm.write(f"{stage.name}: {first} steps are done already")
            return state
        frozen = jax.device_put(frozen, whole)
        step_once, evaluate = compile_step(stage, mesh), jax.jit(stage.evaluate)
        validation = held_out()
        log = _Log(folder, first)
        every = max(1, stage.steps // reports)
        saved = time.monotonic()
        late: tuple[int, Any] | None = None
        tqdm.write(
            f"{stage.name}: steps {first + 1} to {stage.steps}, batch {stage.batch} "
            f"on {mesh.size} {jax.devices()[0].platform} device(s)"
        )
        bar = tqdm(
            total=stage.steps, initial=first, desc=stage.name, unit="step", dynamic_ncols=True
        )
        try:
            for step, batch in zip(range(first + 1, stage.steps + 1), batches(first), strict=False):
                state, metrics = step_once(state, frozen, place(batch, mesh))
                if late is not None:
                    _check(stage, *late, manager.latest_step())
                    _show(bar, late[1], stage.batch)
                late = (step, metrics)
                bar.update()
                if step % every == 0 or step == stage.steps or step == 1:
                    values = {name: float(value) for name, value in metrics.items()}
                    _check(stage, step, values, manager.latest_step())
                    measured = [evaluate(state, frozen, dict(batch)) for batch in validation]
                    for name in measured[0] if measured else ():
                        values[f"val_{name}"] = float(np.mean([m[name] for m in measured]))
                    log.scalars(step, values)
                    if stage.pictures and validation:
                        log.picture(step, stage.pictures(state, frozen, validation[0]))
                if step == stage.steps or time.monotonic() - saved > checkpoint_seconds:
                    finite = {"a weight": _weights_are_finite(state)}
                    _check(stage, step, {**metrics, **finite}, manager.latest_step())
                    checkpoint.save(manager, state, metadata)
                    saved = time.monotonic()
        finally:
            bar.close()
            log.close()
    return state


@jax.jit
def _weights_are_finite(state: State) -> jax.Array:
    """1, or NaN: a loss tells only of the weights before its step."""
    weights = [network.variables for network in state.networks.values()]
    finite = [jnp.isfinite(x).all() for x in jax.tree.leaves(weights)]
    return jnp.where(jnp.stack(finite).all(), 1.0, jnp.nan)


def _check(stage: Stage, step: int, metrics: Any, saved: int | None) -> None:
    wrong = [name for name, value in metrics.items() if not np.isfinite(float(value))]
    if wrong:
        raise UserError(
            f"{stage.name}: {', '.join(wrong)} is not finite at step {step}: lower "
            f"--config.{stage.name}.learning_rate or look at the data; "
            + (f"step {saved} is saved." if saved else "nothing is saved yet.")
        )


def _show(bar: tqdm, metrics: Any, batch: int) -> None:
    rate = bar.format_dict["rate"] or 0.0
    shown = {name: f"{float(value):.3g}" for name, value in metrics.items()}
    bar.set_postfix({**shown, "examples/s": f"{rate * batch:.1f}"}, refresh=False)
