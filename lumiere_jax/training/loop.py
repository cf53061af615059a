"""The training loop: batches in, checkpoints and logs out, for any stage."""

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from signal import SIGTERM
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from lumiere_jax.errors import UserError
from lumiere_jax.runtime import hosts
from lumiere_jax.runtime.compile_alarms import silence_alarms
from lumiere_jax.runtime.stop_signals import Wish, wishes_to_stop
from lumiere_jax.training import checkpoint, device_mesh
from lumiere_jax.training.guard import STOP, Call, Watch
from lumiere_jax.training.log import Check
from lumiere_jax.training.progress_reports import CLIPS, REPORTS, Due, Preview, due_at, reporting
from lumiere_jax.training.stage import Batch, Stage, State

Batches = Callable[[int], Iterator[Batch]]
"""This host's slices of the batches from a step on, a pure function of the seed and the step."""

# Metrics that the progress bar has no room for.
UNSHOWN = ("learning_rate", "gradient_norm", "discriminator_accuracy")


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
    reports: int = REPORTS,
    checks: Mapping[str, Check] | None = None,
    preview: Preview | None = None,
    clips: int = CLIPS,
    initial: Callable[[], Mapping[str, Any]] = dict,
    before_saving: Callable[[State], None] | None = None,
) -> State:
    """Trains a stage to its number of steps, from its last checkpoint where there is one.

    Metrics are read one call later, so the device never waits for the host. A line of the log has
    their means since the line before. Nothing is read where no step is left to take.

    On several hosts all have to call this, with the same arguments. At Ctrl-C and SIGTERM it saves
    after one more call or two, all hosts at the same step.

    Args:
      stage: The stage.
      batches: Training batches from a step on.
      held_out: Reads the batches that reports measure.
      frozen: Variables of other stages and of pretrained networks, by name.
      workdir: The folder of the stage's folder.
      seed: Seed of the first state's key.
      metadata: Metadata of every checkpoint.
      checkpoint_seconds: Seconds between checkpoints.
      reports: Number of reports in a run. A report measures the held-out batches, adds a sheet of
        pictures and reads the log for warnings.
      checks: Checks of the log, by kind of warning.
      preview: Makes a clip.
      clips: Number of clips in a run; there is one at least every `CLIP_STEPS`.
      initial: Reads variables, by network, that replace random ones in a first state.
      before_saving: Called on the first host with the state that is saved next.

    Returns:
      The state after the last step.

    Raises:
      UserError: Losses or gradients are not finite in ten steps in a row. Or a weight is not finite
        before a save, or a checkpoint cannot be read back.
      KeyboardInterrupt: A signal asked it to stop; the argument is the signal.
    """
    silence_alarms()
    folder, mesh = workdir / stage.name, device_mesh.stage_mesh(stage)
    with contextlib.ExitStack() as opened:
        wish = opened.enter_context(wishes_to_stop())
        # One host alone cannot stop what all of them compute: it asks the others at the first step.
        wish.worth_saving = jax.process_count() > 1
        manager = opened.enter_context(checkpoint.open_checkpoints(folder))
        state, first = _begin(stage, manager, mesh, seed, initial)
        if first >= stage.steps or first and checkpoint.has_ended(folder, stage.patience):
            hosts.say(f"{stage.name}: {first} steps are done already")
            return state
        frozen, take = device_mesh.replicate(frozen, mesh), device_mesh.compile_steps(stage, mesh)
        epoch = stage.epoch if stage.patience else 0
        due_after = due_at(stage.steps, reports, clips, epoch)
        saved, saves = time.monotonic(), 0
        with hosts.together():
            validation = held_out() if hosts.is_first() else []
        report = opened.enter_context(
            reporting(stage, folder, first, frozen, validation, checks or {}, preview)
        )
        bar, stream = opened.enter_context(_bar(stage, first, mesh.size)), batches(first)
        watch = Watch(stage.name)
        saved_so_far = functools.partial(_saved, manager)
        late: Call | None = None
        for steps in _calls(first, stage, due_after):
            own = [_with_wish(batch, wish) for batch in itertools.islice(stream, len(steps))]
            state, metrics = take(state, frozen, own)
            wish.worth_saving = True
            if late is not None:
                watch.look(late, saved_so_far)
                _show(bar, watch, stage.batch)
            late, due = Call(steps, metrics, own), due_after(steps[-1])
            bar.update(len(steps))
            checkpoint.tidy(manager)
            if due.line:
                watch.look(late, saved_so_far)
                late = None
            over = False
            if any(due):
                since = watch.drain() if due.line else ([], 0)
                over = _is_over(stage, due, report(steps[-1], state, since, due))
            last = watch.stop or over or steps[-1] == stage.steps
            if last or _is_long_ago(saved, checkpoint_seconds, due):
                _check_weights(stage, state, manager)
                ended = {checkpoint.ENDED: stage.patience} if over else {}
                if before_saving is not None:
                    with hosts.together():
                        if hosts.is_first():
                            before_saving(device_mesh.local(state))
                checkpoint.save(manager, state, {**metadata, **ended})
                if last or not saves:  # a checkpoint counts once it can be read
                    checkpoint.confirm(manager, state, {**metadata, **ended})
                saved, saves = time.monotonic(), saves + 1
            if watch.stop or over:
                break
        manager.wait_until_finished()
        if hosts.any_says(wish.signal is not None):  # also during the last step
            hosts.say(f"{stage.name}: step {int(state.step)} is saved")
            raise KeyboardInterrupt(wish.signal or SIGTERM)
    return state


def _with_wish(batch: Batch, wish: Wish) -> Batch:
    """Adds to a batch whether this host was asked to stop, for the other hosts."""
    count = len(next(iter(batch.values())))
    return {**batch, STOP: np.full(count, wish.signal is not None, np.float32)}


def _begin(
    stage: Stage, manager: Any, mesh: Mesh, seed: int, initial: Callable[[], Mapping[str, Any]]
) -> tuple[State, int]:
    """Restores or makes the state to go on from; returns it and the number of its steps."""
    first = manager.latest_step() or 0
    if first:
        abstract = checkpoint.abstract_state(stage, device_mesh.whole(mesh))
        return checkpoint.restore(manager, first, abstract), first
    return device_mesh.first_state(stage, mesh, seed, initial()), 0


def _calls(first: int, stage: Stage, due_after: Callable[[int], Due]) -> Iterator[range]:
    """Yields the steps of each call after step `first`; a call ends where anything is due."""
    start = first + 1
    for step in range(start, stage.steps + 1):
        if any(due_after(step)) or step + 1 - start == stage.dispatch:
            yield range(start, step + 1)
            start = step + 1


def _is_long_ago(saved: float, seconds: float, due: Due) -> bool:
    """Whether it is time to save; several hosts agree on it at lines of the log, by messages."""
    late = time.monotonic() - saved > seconds
    return late if jax.process_count() == 1 else due.line and hosts.first_says(late)


def _is_over(stage: Stage, due: Due, out_of_patience: bool) -> bool:
    """Whether the stage ends before its last step; the first host decides at a report."""
    if not (stage.patience and due.report) or not hosts.first_says(out_of_patience):
        return False
    hosts.say(
        f"{stage.name}: no gain in {stage.patience} epochs of {stage.epoch} steps on what is held "
        "out: it ends here."
    )
    return True


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


def _saved(manager: Any) -> str:
    """Says which checkpoint of a run is safe, for messages."""
    step = manager.latest_step()
    place = checkpoint.place_of(manager, step) if step else None
    return f"{place} is the last good step" if place else "nothing is saved"


@jax.jit
def _weights_are_finite(state: State) -> jax.Array:
    weights = [network.variables for network in state.networks.values()]
    leaves = jax.tree.leaves((weights, state.extra))
    return jnp.stack([jnp.isfinite(x).all() for x in leaves]).all()


def _check_weights(stage: Stage, state: State, manager: Any) -> None:
    """Raises UserError if a weight is not finite.

    A loss shows only the weights before its step, and a finite gradient can be too large.
    """
    if not _weights_are_finite(state):
        raise UserError(
            f"{stage.name}: a weight is not finite by step {int(state.step)}: lower "
            f"--config.{stage.name}.learning_rate; {_saved(manager)}."
        )


def _show(bar: tqdm, watch: Watch, batch: int) -> None:
    rate = bar.format_dict["rate"] or 0.0
    metrics = watch.recent[-1] if watch.recent else {}
    shown = {k: f"{value:.3g}" for k, value in metrics.items() if not k.startswith(UNSHOWN)}
    bar.set_postfix({**shown, "examples/s": f"{rate * batch:.1f}"}, refresh=False)
