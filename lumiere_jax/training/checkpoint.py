"""Orbax checkpoints: one folder per stage, each step written whole or not at all.

A checkpoint holds the arrays of a `State` under the names of its fields, and the number of their
format in its metadata; `checkpoint_formats` reads older formats.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from lumiere_jax.errors import UserError, is_disk_full, printable, reason, shortened
from lumiere_jax.paths import plainly_named, true_name
from lumiere_jax.runtime import hosts
from lumiere_jax.training.checkpoint_arrays import check_arrays
from lumiere_jax.training.checkpoint_formats import (
    EXTRA,
    FORMAT,
    FORMAT_KEY,
    from_format,
    in_format,
    state_as_dict,
    state_from_dict,
    take_format,
)
from lumiere_jax.training.stage import Stage, State

CHECKPOINTS, DELETED, ENDED = "checkpoints", "deleted", "ended"
# Number of whole steps that a stage's folder keeps.
KEPT = 2


@contextlib.contextmanager
def open_checkpoints(folder: Path, alone: bool = False) -> Iterator[ocp.CheckpointManager]:
    """Opens the checkpoints of a stage; at the end, waits for writes and closes them.

    Deletes what a killed run left half-written or half-deleted.

    Args:
      folder: The stage's folder.
      alone: Whether to open them for reading in this process alone, also while another writes.
        Otherwise all hosts have to open them, save and restore.

    Yields:
      The manager.

    Raises:
      UserError: The folder cannot be opened, or a step in it is damaged.
    """
    place = folder / CHECKPOINTS
    with contextlib.ExitStack() as held:
        try:
            if not alone:
                folder.mkdir(parents=True, exist_ok=True)
            manager = _manager(held.enter_context(plainly_named(folder)) / CHECKPOINTS, alone)
        except UserError:
            raise
        except OSError as error:
            if is_disk_full(error):
                raise
            raise UserError(
                f"{place} cannot be opened ({reason(error)}): check its rights, or name another "
                "--workdir."
            ) from error
        except Exception as error:  # Orbax raises anything for a damaged file
            raise UserError(
                f"{place} cannot be read ({shortened(printable(str(error)))}): move the step that "
                "is damaged out of this folder to go on from another, or name another --workdir."
            ) from error
        ended = False
        try:
            yield manager
            ended = True
        finally:
            # A write may wait for hosts that stopped before it began.
            if ended or not jax.distributed.is_initialized():
                manager.close()
                if not alone:
                    _sweep(place)


def _manager(place: Path, alone: bool) -> ocp.CheckpointManager:
    if alone:
        processes = ocp.options.MultiprocessingOptions()
        if jax.distributed.is_initialized():
            own = jax.process_index()
            processes = ocp.options.MultiprocessingOptions(
                primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"host{own}"
            )
        options = ocp.CheckpointManagerOptions(
            create=False, read_only=True, multiprocessing_options=processes
        )
    else:
        _sweep(place)
        # Half-deleted under its own name, a step would pass for a whole one.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT, todelete_subdir=DELETED, cleanup_tmp_directories=True
        )
    return ocp.CheckpointManager(place, options=options, item_names=("state", "metadata"))


def _sweep(place: Path) -> None:
    """Orbax only renames discarded steps; this deletes them."""
    if hosts.is_first():
        shutil.rmtree(place / DELETED, ignore_errors=True)


def tidy(manager: ocp.CheckpointManager) -> None:
    """Deletes discarded steps, unless one is being written."""
    if not manager.is_saving_in_progress():
        _sweep(Path(manager.directory))


def save(manager: ocp.CheckpointManager, state: State, metadata: dict[str, Any]) -> None:
    """Writes the state under its own step number, in the background."""
    manager.wait_until_finished()
    tidy(manager)
    manager.save(
        int(state.step),
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state_as_dict(state)),
            metadata=ocp.args.JsonSave({**metadata, FORMAT_KEY: FORMAT}),
        ),
        force=True,
    )


def confirm(manager: ocp.CheckpointManager, state: State, metadata: dict[str, Any]) -> None:
    """Waits until the state is written, then opens it as a later run would.

    Reads its metadata, all shapes, and the numbers of its largest array.

    Raises:
      UserError: The state cannot be read, or differs from the one that was written.
    """
    manager.wait_until_finished()
    with hosts.together():
        if hosts.is_first():
            _read_back(manager, int(state.step), state, metadata)


def _read_back(
    manager: ocp.CheckpointManager, step: int, state: State, metadata: dict[str, Any]
) -> None:
    folder = Path(manager.directory).parent
    params = {name: {"params": network.params} for name, network in state.networks.items()}
    leaves = jax.tree_util.tree_leaves_with_path({"networks": params})
    path, array = max(leaves, key=lambda leaf: leaf[1].size)
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    item: Any = jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=device)
    for key in path[::-1]:
        item = {key.key: item}
    try:
        if read_metadata(folder) != json.loads(json.dumps(metadata)):
            raise ValueError("its metadata are others")
        with open_checkpoints(folder, alone=True) as reader, _readable(reader, step):
            check_arrays(reader, step, state_as_dict(state))
            (read,) = jax.tree.leaves(_restore_part(reader, step, item))
        if not np.array_equal(read, array.addressable_data(0)):
            raise ValueError("its numbers are others")
    except Exception as error:
        if is_disk_full(error):
            raise
        why = shortened(printable(str(error.__cause__ or error)))
        before = max((other for other in manager.all_steps() if other < step), default=None)
        kept = "no step before it is there" if before is None else f"step {before} is kept"
        raise UserError(
            f"{place_of(manager, step)} was written and cannot be read back ({why}); {kept}: check "
            "the disk, or name another --workdir."
        ) from error


def _restore_part(manager: ocp.CheckpointManager, step: int, item: Any) -> Any:
    """Restores the arrays of a step's state that `item` has."""
    part = ocp.args.PyTreeRestore(
        item=item,
        restore_args=ocp.checkpoint_utils.construct_restore_args(item),
        partial_restore=True,
    )
    return manager.restore(step, args=ocp.args.Composite(state=part))["state"]


def latest_step(folder: Path) -> int | None:
    """Returns the newest whole step in a stage's folder, or None."""
    if not (folder / CHECKPOINTS).is_dir():
        return None
    with open_checkpoints(folder, alone=True) as manager:
        return manager.latest_step()


def read_metadata(folder: Path) -> dict[str, Any]:
    """Reads the metadata of the newest whole step of a stage."""
    with open_checkpoints(folder, alone=True) as manager:
        step = manager.latest_step()
        assert step is not None
        with _readable(manager, step):
            return _metadata(manager, step)[0]


def _metadata(manager: ocp.CheckpointManager, step: int) -> tuple[dict[str, Any], int]:
    """Reads a step's metadata and the format of its state.

    Raises:
      UserError: A later release wrote it.
      ValueError: It is damaged.
    """
    args = ocp.args.Composite(metadata=ocp.args.JsonRestore())
    metadata = manager.restore(step, args=args)["metadata"]
    if not all(isinstance(m, dict) for m in (metadata, metadata.get("needs", {}))):
        raise ValueError("its metadata is no record")
    if type(metadata.get(ENDED, 0)) is not int:
        raise ValueError(f"its {ENDED!r} is no number")
    return metadata, take_format(metadata, place_of(manager, step))


def has_ended(folder: Path, patience: int) -> bool:
    """Whether the stage stopped early with at least this much patience."""
    return 0 < patience <= read_metadata(folder).get(ENDED, 0)


def abstract_state(stage: Stage, sharding: jax.sharding.Sharding) -> State:
    """Returns shapes and shardings of a stage's state, without computing any of it."""
    shapes = jax.eval_shape(stage.init, jax.random.key(0), {})
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)


def restore(manager: ocp.CheckpointManager, step: int, abstract: State) -> State:
    """Restores the state of `step`, with the shapes and shardings of `abstract`."""
    with _readable(manager, step):
        _, number = _metadata(manager, step)
        item = in_format(state_as_dict(abstract), number)
        check_arrays(manager, step, item)
        written = manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(item))
        )["state"]
    return state_from_dict(from_format(written, number))


@contextlib.contextmanager
def _readable(manager: ocp.CheckpointManager, step: int) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Orbax raises anything for a damaged file
        raise UserError(
            f"{place_of(manager, step)} cannot be read: it is of other networks, and wants "
            "another --workdir, or damaged: move that folder elsewhere to go on from the "
            "step before. (A training that runs removes older steps: then try again.)"
        ) from error


def place_of(manager: ocp.CheckpointManager, step: int) -> Path:
    """Returns a step's folder by the name that the user knows."""
    return true_name(Path(manager.directory)) / str(step)


def require(workdir: Path, stage: Stage) -> int:
    """Returns a stage's newest step in `workdir`; raises UserError if there is none."""
    step = latest_step(workdir / stage.name)
    if step is None:
        raise UserError(
            f"{workdir} holds no trained '{stage.name}' stage: "
            f"run train.py with --stage={stage.name} (or all) on this workdir first."
        )
    return step


def restore_frozen(workdir: Path, stage: Stage, *names: str) -> dict[str, Any]:
    """Restores variables for inference, by network, from a trained stage.

    Reads nothing else: an optimiser's state is twice the size of its network.

    Args:
      workdir: The folder of the stage's folder.
      stage: The stage.
      *names: Its networks, by default all.

    Returns:
      Variables by network, and `State.extra` under "extra" unless it is empty.

    Raises:
      UserError: The stage is not trained, or its checkpoint cannot be read.
    """
    step = require(workdir, stage)
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    state = abstract_state(stage, sharding)
    networks = {name: state.networks[name] for name in names or state.networks}
    wanted = {
        name: {"ema": network.ema} if network.ema else network.variables
        for name, network in networks.items()
    }
    whole: dict[str, Any] = {"networks": wanted, **({EXTRA: state.extra} if state.extra else {})}
    with open_checkpoints(workdir / stage.name, alone=True) as manager:
        with _readable(manager, step):
            _, number = _metadata(manager, step)
            item = in_format(whole, number)
            check_arrays(manager, step, item)
            read = from_format(_restore_part(manager, step, item), number)
    variables = {name: network.get("ema", network) for name, network in read["networks"].items()}
    return {**variables, **{name: x for name, x in read.items() if name == EXTRA}}
