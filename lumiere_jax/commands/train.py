"""Training of a system's stages on a dataset, each resumed from its last checkpoint."""

import functools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lumiere_jax import errors
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.batches import device_dataset, example_order
from lumiere_jax.inputs.dataset.lectures import DESCRIPTION, Dataset, open_dataset
from lumiere_jax.inputs.dataset.segments import TRIPLET, longest
from lumiere_jax.measures.face_width import small_face
from lumiere_jax.runtime import hosts
from lumiere_jax.runtime.disk_space import announce_space, while_folder_stays, written_into
from lumiere_jax.runtime.locks import LOCK, lock
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import DeviceSplit, Feed, System, Trained, Variables
from lumiere_jax.systems.gathering import gathering
from lumiere_jax.training import checkpoint, loop
from lumiere_jax.training.device_mesh import stage_mesh
from lumiere_jax.training.stage import Stage, State
from lumiere_jax.workflows import previews
from lumiere_jax.workflows.artefacts import write_artefacts
from lumiere_jax.workflows.disk_estimates import training_bytes
from lumiere_jax.workflows.workdir import FILE, made_with, origin_of_initial, run_of, write_run
from lumiere_jax.workflows.workdir_checks import (
    check_continues,
    check_follows,
    check_initial,
    check_kind,
    checked,
)


def train(
    *, config: Any, data: Path, workdir: Path, stage: str = "all", initial: Path | None = None
) -> None:
    """Trains one stage, or all in order; in a run on several hosts, every process calls this.

    Args:
      config: Config of the system.
      data: Dataset.
      workdir: Folder of the trained stages.
      stage: Name of a stage, or "all".
      initial: Workdir whose networks initialize new stages; by default they start randomly.

    Raises:
      UserError: the config, the data or the workdir is unusable, or a stage that this one needs is
        not trained.
    """
    with hosts.together():
        system = checked(config)
        dataset = open_dataset(data)
        check_kind(system, dataset, data)
        config = system.fit(config, dataset)
        every = system.stages(config, dataset.shape)
        if stage != "all" and stage not in every:
            raise UserError(f"--stage={stage}: choose all, {', '.join(every)}.")
        chosen = list(every) if stage == "all" else [stage]
        run = run_of(config, dataset)
        for split in ("train", "val"):
            if longest(dataset.segments, split) < TRIPLET:
                raise UserError(
                    f"{data} has no {TRIPLET} frames in a row in its '{split}' split: prepare "
                    "longer footage."
                )
        for name in every:
            stage_mesh(every[name])
        if initial is not None:
            check_initial(initial, run, chosen)
        if (workdir / DESCRIPTION).exists():
            raise UserError(f"--workdir={workdir} is a dataset's folder: name another one.")
    with lock(workdir / LOCK, workdir), written_into(workdir):
        with hosts.together():
            taken = {name: checkpoint.latest_step(workdir / name) or 0 for name in every}
            check_continues(workdir, run, [name for name in every if taken[name]])
            for name in chosen:
                _check_needs(workdir, every, taken, chosen, name)
                if _stays_on_device(config) and not _is_done(every[name], taken[name], workdir):
                    trained = _trained(workdir, every, system)
                    split = system.feed(every[name], config, dataset, trained).on_device
                    if split is None:
                        raise UserError(
                            f"--config.resident: '{name}' cannot train from device memory: leave "
                            "it out."
                        )
                    device_dataset.check_fits(name, split.size)
            left = [every[n] for n in chosen if not _is_done(every[n], taken[n], workdir)]
            if left and hosts.is_first():
                announce_space(workdir, *training_bytes(left, run.size))
            frozen = system.pretrained(config)
        if hosts.is_first() and (left or not (workdir / FILE).exists()):
            write_run(workdir, run)
        if small := small_face(dataset):
            hosts.say(
                f"warning: {data}: {small}: prepare the footage anew with a closer --crop, or a "
                "larger --size."
            )
        for name in chosen:
            _train_stage(name, config, dataset, workdir, every, frozen, initial)


def _is_done(stage: Stage, taken: int, workdir: Path) -> bool:
    """Whether a stage has taken all of its steps, or has stopped early."""
    if taken >= stage.steps:
        return True
    return taken > 0 and checkpoint.has_ended(workdir / stage.name, stage.patience)


def _train_stage(
    name: str,
    config: Any,
    dataset: Dataset,
    workdir: Path,
    every: dict[str, Stage],
    frozen: dict[str, Any],
    initial: Path | None,
) -> None:
    stage, system = every[name], registry.of(config)
    feed = system.feed(stage, config, dataset, _trained(workdir, every, system))
    batches, frozen = feed.batches, frozen | dict(feed.needs())
    metadata: dict[str, Any] = {"config": asdict(config), "stage": name, **made_with()}
    if _stays_on_device(config) and (checkpoint.latest_step(workdir / name) or 0) < stage.steps:
        assert feed.on_device is not None
        stage, batches, data = _on_device(
            stage, feed.on_device, dataset.frames("train"), config.seed
        )
        frozen = frozen | data
    needs = {needed: checkpoint.latest_step(workdir / needed) for needed in stage.needs}
    preview = previews.make_preview(name, feed, dataset, workdir / name)
    if initial is not None:
        metadata["initial"] = origin_of_initial(initial, name)
    if (feed.artefacts is not None) != stage.leaves_artefacts:
        raise ValueError(f"stage {name!r} and its feed disagree on whether it leaves artefacts")
    loop.train(
        stage,
        lambda first: while_folder_stays(batches(first), workdir),
        feed.held_out,
        frozen,
        workdir,
        seed=config.seed,
        metadata={**metadata, "needs": needs},
        initial=functools.partial(_initial, feed, stage, initial),
        checkpoint_seconds=config.checkpoint_seconds,
        checks=system.checks(name, config),
        preview=preview if stage.steps >= previews.SHORTEST else None,
        before_saving=functools.partial(_leave_artefacts, feed, workdir / name)
        if feed.artefacts
        else None,
    )


def _leave_artefacts(feed: Feed, folder: Path, state: State) -> None:
    assert feed.artefacts is not None
    write_artefacts(folder, int(state.step), feed.artefacts(state))


def _initial(feed: Feed, stage: Stage, initial: Path | None) -> Variables:
    """Returns initial variables by network; networks without any start randomly."""
    if initial is None:
        return feed.initial()
    return checkpoint.restore_frozen(initial, stage)


def _stays_on_device(config: Any) -> bool:
    """Whether the config asks for training data in device memory."""
    return getattr(config, "resident", False)


def _check_needs(
    workdir: Path, every: dict[str, Stage], taken: dict[str, int], chosen: list[str], name: str
) -> None:
    """Raises a UserError unless the stages that a stage needs are trained, or chosen to be.

    A partly trained stage continues only on the steps of those stages that it has begun with.
    """
    for needed in every[name].needs:
        steps = every[needed].steps
        if taken[needed] < steps and needed not in chosen:
            done = (
                f"trained only for {taken[needed]} of {steps} steps"
                if taken[needed]
                else "not trained"
            )
            raise UserError(
                f"stage '{name}' needs '{needed}', which {workdir} has {done}: "
                f"run with --stage={needed} first, or with --stage=all."
            )
        if taken[name]:
            check_follows(workdir, name, needed, max(steps, taken[needed]))


def _on_device(
    stage: Stage, split: DeviceSplit, frames: int, seed: int
) -> tuple[Stage, loop.Batches, dict[str, device_dataset.Resident]]:
    """Reads the training data into device memory.

    Returns:
      The stage that gathers its batches there, a function that yields batches of frame indices, and
      the data.
    """
    data, chosen = split.read(), split.frames()
    hosts.say(
        f"{stage.name}: {frames:,} frames kept in device memory "
        f"({errors.readable_bytes(data.size)})"
    )

    def batches(first: int) -> Iterator[Any]:
        rest = first, stage.steps, hosts.own_part()
        return example_order.index_batches(chosen, stage.batch, seed, *rest)

    return gathering(stage), batches, {"data": data}


def _trained(workdir: Path, every: dict[str, Stage], system: System) -> Trained:
    """Returns a function that restores a trained stage's variables by its name."""

    def variables(name: str) -> Variables:
        return checkpoint.restore_frozen(workdir, every[name], *system.networks[name])

    return variables
