"""The training loop: batches in, checkpoints and logs out. It knows nothing of what it trains."""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm import tqdm

from lumiere_jax.errors import UserError, reason
from lumiere_jax.training import checkpoint
from lumiere_jax.training.log import Check, Clip, Log
from lumiere_jax.training.stage import Batch, Stage, State

Batches = Callable[[int], Iterator[Batch]]
"""Batches from a step on: a pure function of the seed and the step."""

Preview = Callable[[int, State], Clip | None]
"""A clip of what the stage makes at a step, or None where that did not work."""

# Lines of a log: about so many in a run, and never more than so many steps apart.
LINES, LONGEST = 100, 500
CLIP_STEPS = 5_000
# Metrics that the progress bar has no room for.
UNSHOWN = ("learning_rate", "gradient_norm", "discriminator_accuracy")


@contextlib.contextmanager
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
    checks: Mapping[str, Check] | None = None,
    preview: Preview | None = None,
    clips: int = 4,
) -> State:
    """Trains a stage to its number of steps, from its last checkpoint where there is one.

    Metrics are fetched a step late, so that the device never waits for the host; a line of the
    log has their means since the line before. `reports` times in a run, the batches that
    `held_out` gives are measured, a sheet of pictures is kept and the `checks` read the log;
    `clips` times, and at least every `CLIP_STEPS`, `preview` makes a clip. Nothing is asked for
    when nothing is left to do.

    Raises:
      UserError: a loss, or a weight that would be saved, is not finite.
    """
    folder = workdir / stage.name
    mesh = data_mesh(stage.batch)
    whole = NamedSharding(mesh, PartitionSpec())
    with checkpoint.open_checkpoints(folder) as manager:
        state, first = _begin(stage, manager, whole, seed)
        if first >= stage.steps:
            tqdm.write(f"{stage.name}: {first} steps are done already")
            return state
        frozen = jax.device_put(frozen, whole)
        step_once, evaluate = compile_step(stage, mesh), jax.jit(stage.evaluate)
        validation, saved = held_out(), time.monotonic()
        due = _due(stage.steps, reports, clips)
        recent: list[dict[str, float]] = []
        late: tuple[int, Any] | None = None
        with contextlib.closing(Log(folder, first)) as log, _bar(stage, first, mesh) as bar:
            for step, batch in zip(range(first + 1, stage.steps + 1), batches(first), strict=False):
                state, metrics = step_once(state, frozen, place(batch, mesh))
                if late is not None:
                    recent.append(_fetched(stage, *late, manager.latest_step()))
                    _show(bar, recent[-1], stage.batch)
                late = (step, metrics)
                bar.update()
                line, report, clip = due(step)
                if line:
                    recent.append(_fetched(stage, *late, manager.latest_step()))
                    values, late = _means(recent), None
                    recent.clear()
                    if report:
                        measured = [evaluate(state, frozen, dict(b)) for b in validation]
                        values |= {f"val_{k}": v for k, v in _means(measured).items()}
                    log.scalars(step, values)
                if report:
                    if stage.pictures and validation:
                        log.picture(step, stage.pictures(state, frozen, validation[0]))
                    for kind, check in (checks or {}).items():
                        if sentence := check(log.lines):
                            log.warn(step, kind, sentence)
                if clip and preview and (made := preview(step, state)):
                    log.clip(step, made)
                if step == stage.steps or time.monotonic() - saved > checkpoint_seconds:
                    finite = {"a weight": _weights_are_finite(state)}
                    _fetched(stage, step, {**metrics, **finite}, manager.latest_step())
                    checkpoint.save(manager, state, metadata)
                    saved = time.monotonic()
    return state


def _begin(stage: Stage, manager: Any, sharding: NamedSharding, seed: int) -> tuple[State, int]:
    """The state to go on from, and the number of its steps."""
    first = manager.latest_step() or 0
    if first:
        abstract = checkpoint.abstract_state(stage, sharding)
        return checkpoint.restore(manager, first, abstract), first
    return jax.jit(stage.init, out_shardings=sharding)(jax.random.key(seed)), 0


def _due(steps: int, reports: int, clips: int) -> Callable[[int], tuple[bool, bool, bool]]:
    """Whether a step ends with a line of the log, a report (with its line) and a clip."""
    often, every = max(1, min(steps // LINES, LONGEST)), max(1, steps // reports)
    between = max(1, min(steps // clips, CLIP_STEPS))

    def due(step: int) -> tuple[bool, bool, bool]:
        report = step % every == 0 or step in (1, steps)
        return report or step % often == 0, report, step % between == 0 or step == steps

    return due


def _means(metrics: list[Any]) -> dict[str, float]:
    names = metrics[0] if metrics else ()
    return {name: float(np.mean([m[name] for m in metrics])) for name in names}


def _bar(stage: Stage, first: int, mesh: Mesh) -> tqdm:
    tqdm.write(
        f"{stage.name}: steps {first + 1} to {stage.steps}, batch {stage.batch} "
        f"on {mesh.size} {jax.devices()[0].platform} device(s)"
    )
    return tqdm(total=stage.steps, initial=first, desc=stage.name, unit="step", dynamic_ncols=True)


@jax.jit
def _weights_are_finite(state: State) -> jax.Array:
    """1, or NaN: a loss tells only of the weights before its step."""
    weights = [network.variables for network in state.networks.values()]
    finite = [jnp.isfinite(x).all() for x in jax.tree.leaves(weights)]
    return jnp.where(jnp.stack(finite).all(), 1.0, jnp.nan)


def _fetched(stage: Stage, step: int, metrics: Any, saved: int | None) -> dict[str, float]:
    """Metrics as numbers; a UserError where one is none."""
    values = {name: float(value) for name, value in metrics.items()}
    wrong = [name for name, value in values.items() if not np.isfinite(value)]
    if wrong:
        raise UserError(
            f"{stage.name}: {', '.join(wrong)} is not finite at step {step}: lower "
            f"--config.{stage.name}.learning_rate or look at the data; "
            + (f"step {saved} is saved." if saved else "nothing is saved yet.")
        )
    return values


def _show(bar: tqdm, metrics: dict[str, float], batch: int) -> None:
    rate = bar.format_dict["rate"] or 0.0
    shown = {k: f"{value:.3g}" for k, value in metrics.items() if not k.startswith(UNSHOWN)}
    bar.set_postfix({**shown, "examples/s": f"{rate * batch:.1f}"}, refresh=False)
