"""The training loop: batches in, checkpoints and logs out. It knows nothing of what it trains."""

import contextlib
import fcntl
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from lumiere_jax.errors import UserError, reason
from lumiere_jax.training import checkpoint, hosts, parallel
from lumiere_jax.training.log import Check
from lumiere_jax.training.reports import Due, Preview, due_at, reporting
from lumiere_jax.training.stage import Batch, Metrics, Stage, State

Batches = Callable[[int], Iterator[Batch]]
"""Batches from a step on: a pure function of the seed and the step, of each this host's slice."""

# Metrics that the progress bar has no room for.
UNSHOWN = ("learning_rate", "gradient_norm", "discriminator_accuracy")


@contextlib.contextmanager
def lock(workdir: Path, name: Path | None = None) -> Iterator[None]:
    """Holds `workdir` for one run; a killed process lets go of it by itself.

    Errors speak of `name` where the user knows the folder by another.
    """
    with contextlib.ExitStack() as held:
        with hosts.together():
            if hosts.is_first():
                held.enter_context(_locked(workdir, name or workdir))
        yield


@contextlib.contextmanager
def _locked(workdir: Path, name: Path) -> Iterator[None]:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        handle = open(workdir / ".lock", "w")
    except OSError as error:
        raise UserError(
            f"{name} cannot be written ({reason(error)}): name another folder."
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{name} is in use by another run: wait for it, or name another folder."
            ) from error
        yield


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

    Metrics are fetched a call late, so that the device never waits for the host; a line of the
    log has their means since the line before. `reports` times in a run, the batches that
    `held_out` gives are measured, a sheet of pictures is kept and the `checks` read the log;
    `clips` times, and at least every `CLIP_STEPS`, `preview` makes a clip. Nothing is asked for
    when nothing is left to do. On several hosts all have to call this, with the same arguments.

    Raises:
      UserError: a loss, or a weight that would be saved, is not finite.
    """
    folder, mesh = workdir / stage.name, parallel.stage_mesh(stage)
    with contextlib.ExitStack() as opened:
        manager = opened.enter_context(checkpoint.open_checkpoints(folder))
        state, first = _begin(stage, manager, mesh, seed)
        if first >= stage.steps:
            hosts.say(f"{stage.name}: {first} steps are done already")
            return state
        frozen, take = parallel.replicate(frozen, mesh), parallel.compile_steps(stage, mesh)
        due_after, saved = due_at(stage.steps, reports, clips), time.monotonic()
        report = opened.enter_context(
            reporting(stage, folder, first, frozen, held_out, checks or {}, preview)
        )
        bar, stream = opened.enter_context(_bar(stage, first, mesh.size)), batches(first)
        recent: list[dict[str, float]] = []
        late: tuple[range, Metrics] | None = None
        for steps in _calls(first, stage, due_after):
            state, metrics = take(state, frozen, list(itertools.islice(stream, len(steps))))
            if late is not None:
                recent += _fetched(stage, *late, manager.latest_step())
                _show(bar, recent[-1], stage.batch)
            late, due = (steps, metrics), due_after(steps[-1])
            bar.update(len(steps))
            if due.line:
                recent += _fetched(stage, *late, manager.latest_step())
                late = None
            if any(due):
                report(steps[-1], state, recent, due)
            if due.line:
                recent.clear()
            if steps[-1] == stage.steps or _is_long_ago(saved, checkpoint_seconds, due):
                _fetched(stage, steps, metrics, manager.latest_step())
                finite = {"a weight": _weights_are_finite(state)}
                _fetched(stage, steps[-1:], finite, manager.latest_step())
                checkpoint.save(manager, state, metadata)
                saved = time.monotonic()
    return state


def _begin(stage: Stage, manager: Any, mesh: Mesh, seed: int) -> tuple[State, int]:
    """The state to go on from, and the number of its steps."""
    first = manager.latest_step() or 0
    if first:
        abstract = checkpoint.abstract_state(stage, parallel.whole(mesh))
        return checkpoint.restore(manager, first, abstract), first
    return parallel.first_state(stage, mesh, seed), 0


def _calls(first: int, stage: Stage, due_after: Callable[[int], Due]) -> Iterator[range]:
    """The steps of each call after the first ones; what is due ends a call."""
    start = first + 1
    for step in range(start, stage.steps + 1):
        if any(due_after(step)) or step + 1 - start == stage.dispatch:
            yield range(start, step + 1)
            start = step + 1


def _is_long_ago(saved: float, seconds: float, due: Due) -> bool:
    """Whether it is time to save; hosts agree on it at the lines of the log, a message each."""
    late = time.monotonic() - saved > seconds
    return late if jax.process_count() == 1 else due.line and hosts.first_says(late)


def _bar(stage: Stage, first: int, count: int) -> tqdm:
    hosts.say(
        f"{stage.name}: steps {first + 1} to {stage.steps}, batch {stage.batch} "
        f"on {count} {jax.devices()[0].platform} device(s)"
    )
    return tqdm(
        total=stage.steps,
        initial=first,
        desc=stage.name,
        unit="step",
        dynamic_ncols=True,
        disable=not hosts.is_first(),
    )


@jax.jit
def _weights_are_finite(state: State) -> jax.Array:
    """1, or NaN: a loss tells only of the weights before its step."""
    weights = [network.variables for network in state.networks.values()]
    finite = [jnp.isfinite(x).all() for x in jax.tree.leaves(weights)]
    return jnp.where(jnp.stack(finite).all(), 1.0, jnp.nan)


def _fetched(
    stage: Stage, steps: range, metrics: Metrics, saved: int | None
) -> list[dict[str, float]]:
    """Metrics of a call's steps as numbers; a UserError where one is none."""
    columns = {name: np.ravel(value) for name, value in jax.device_get(metrics).items()}
    lines = [{name: float(x[i]) for name, x in columns.items()} for i in range(len(steps))]
    for step, line in zip(steps, lines, strict=True):
        wrong = [name for name, value in line.items() if not np.isfinite(value)]
        if wrong:
            raise UserError(
                f"{stage.name}: {', '.join(wrong)} is not finite at step {step}: lower "
                f"--config.{stage.name}.learning_rate or look at the data; "
                + (f"step {saved} is saved." if saved else "nothing is saved yet.")
            )
    return lines


def _show(bar: tqdm, metrics: dict[str, float], batch: int) -> None:
    rate = bar.format_dict["rate"] or 0.0
    shown = {k: f"{value:.3g}" for k, value in metrics.items() if not k.startswith(UNSHOWN)}
    bar.set_postfix({**shown, "examples/s": f"{rate * batch:.1f}"}, refresh=False)
