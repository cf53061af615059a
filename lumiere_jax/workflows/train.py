"""A dataset to a workdir of trained stages, each from its last checkpoint on."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lumiere_jax.audio.features import FILTERS
from lumiere_jax.codes.recurrent import window_steps
from lumiere_jax.errors import UserError
from lumiere_jax.inputs import archive, pipeline, resident
from lumiere_jax.inputs.lectures import DESCRIPTION, TRIPLET, Dataset, open_dataset
from lumiere_jax.inputs.segments import longest
from lumiere_jax.systems.lumierenet import Config, health, load_vgg, stages
from lumiere_jax.systems.lumierenet.vae import encode, vae_network
from lumiere_jax.training import checkpoint, hosts, loop
from lumiere_jax.training.locks import LOCK, lock
from lumiere_jax.training.parallel import stage_mesh
from lumiere_jax.training.stage import Batch, Metrics, Stage, State
from lumiere_jax.workflows import previews
from lumiere_jax.workflows.batches import in_batches
from lumiere_jax.workflows.framing import small_face
from lumiere_jax.workflows.space import ask_for, training_bytes, while_there, written_into
from lumiere_jax.workflows.workdir import (
    FILE,
    check_continues,
    check_follows,
    checked,
    made_with,
    run_of,
    write_run,
)

VALIDATION_BATCHES = 2
VALIDATION_SEED = 1


def train(*, config: Config, data: Path, workdir: Path, stage: str = "all") -> None:
    """Trains one stage, or all in order; on several hosts, all of them call this.

    Raises:
      UserError: anything about the config, the data, the workdir or the order of stages.
    """
    with hosts.together():
        config = checked(config)
        dataset = open_dataset(data)
        every = stages(config, dataset.size)
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
        if (workdir / DESCRIPTION).exists():
            raise UserError(f"--workdir={workdir} is a dataset's folder: name another one.")
    with lock(workdir / LOCK, workdir), written_into(workdir):
        with hosts.together():
            taken = {name: checkpoint.latest_step(workdir / name) or 0 for name in every}
            check_continues(workdir, run, [name for name in every if taken[name]])
            for name in chosen:
                _check_needs(workdir, every, taken, chosen, name)
                if config.resident and taken[name] < every[name].steps:
                    resident.check_fits(name, _resident_bytes(name, config, dataset))
            left = [every[name] for name in chosen if taken[name] < every[name].steps]
            if left and hosts.is_first():
                ask_for(workdir, *training_bytes(left, run.size))
            frozen = {"vgg": load_vgg(config)}
        if hosts.is_first() and (left or not (workdir / FILE).exists()):
            write_run(workdir, run)
        if small := small_face(dataset):
            hosts.say(
                f"warning: {data}: {small}: prepare the footage anew with a closer --crop, or a "
                "larger --size."
            )
        for name in chosen:
            _train_stage(name, config, dataset, workdir, every, frozen)


def _train_stage(
    name: str,
    config: Config,
    dataset: Dataset,
    workdir: Path,
    every: dict[str, Stage],
    frozen: dict[str, Any],
) -> None:
    stage = every[name]
    batches, held_out = _batches(name, config, dataset, workdir, every)
    if config.resident and (checkpoint.latest_step(workdir / name) or 0) < stage.steps:
        stage, batches, kept = _kept(stage, config, dataset, workdir, every)
        frozen = frozen | kept
    needs = {needed: checkpoint.latest_step(workdir / needed) for needed in stage.needs}
    if name == "seqpix2pix" and needs:
        frozen = frozen | {"vae": _frozen_vae(workdir, every)}
    preview = previews.make_preview(
        name, config, dataset, workdir / name, lambda: _frozen_vae(workdir, every)
    )
    loop.train(
        stage,
        lambda first: while_there(batches(first), workdir),
        held_out,
        frozen,
        workdir,
        seed=config.seed,
        metadata={"config": asdict(config), "stage": name, "needs": needs, **made_with()},
        checkpoint_seconds=config.checkpoint_seconds,
        checks=health.checks(name, config),
        preview=preview if stage.steps >= previews.SHORTEST else None,
    )


def _check_needs(
    workdir: Path, every: dict[str, Stage], taken: dict[str, int], chosen: list[str], name: str
) -> None:
    """Raises a UserError unless what a stage needs is trained, or will be, as it was before."""
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


def _batches(
    name: str, config: Config, dataset: Dataset, workdir: Path, every: dict[str, Any]
) -> tuple[loop.Batches, Callable[[], list[Any]]]:
    """What makes a stage's batches from a step on, and its held-out ones; nothing is read yet."""
    seed, batch, steps = config.seed, every[name].batch, every[name].steps

    def figures(split: str, *rest: Any) -> Iterator[Any]:
        return pipeline.figure_batches(dataset, split, *rest)

    def triplets(split: str, size: int, seed: int, *rest: Any) -> Iterator[Any]:
        stride = config.seqpix2pix.stride if split == "train" else 1
        return pipeline.triplet_batches(dataset, split, size, seed, stride, *rest)

    tables = functools.cache(functools.partial(_heard, config, dataset, workdir, every))

    def heard(split: str, *rest: Any) -> Iterator[Any]:
        return pipeline.window_batches(*tables(split), *rest)

    make = {"vae": figures, "blstm": heard, "seqpix2pix": triplets}[name]
    size = min(64 if name == "blstm" else 8, max(1, dataset.frames("val") - pipeline.MEMORY))
    return (
        lambda first: make("train", batch, seed, first, steps, _own_part()),
        lambda: list(make("val", size, VALIDATION_SEED, 0, VALIDATION_BATCHES)),
    )


def _own_part() -> tuple[int, int]:
    """This host's slice of every batch."""
    return jax.process_index(), jax.process_count()


def _kept(
    stage: Stage, config: Config, dataset: Dataset, workdir: Path, every: dict[str, Stage]
) -> tuple[Stage, loop.Batches, dict[str, resident.Resident]]:
    """The stage on data in device memory, the indices that are its batches, and the data."""
    frames = np.arange(dataset.frames("train"))
    if stage.name == "blstm":
        data = resident.windows(*_heard(config, dataset, workdir, every, "train"))
    elif stage.name == "vae":
        data = resident.figures(dataset, "train")
    else:
        data = resident.triplets(dataset, "train")
        frames = pipeline.triplet_targets(dataset, "train", config.seqpix2pix.stride)
    hosts.say(
        f"{stage.name}: {dataset.frames('train'):,} frames kept in device memory "
        f"({resident.shown(data.size)})"
    )

    def step(state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
        return stage.step(state, frozen, resident.gather(frozen["data"], batch["index"]))

    def batches(first: int) -> Iterator[Any]:
        rest = first, stage.steps, _own_part()
        return pipeline.index_batches(frames, stage.batch, config.seed, *rest)

    return dataclasses.replace(stage, step=step), batches, {"data": data}


def _resident_bytes(name: str, config: Config, dataset: Dataset) -> int:
    """What a stage's training data takes in device memory."""
    if name == "blstm":
        numbers = FILTERS + config.vae.code + config.blstm.window
        return 4 * numbers * dataset.frames("train")
    return resident.picture_bytes(dataset, "train", 1 if name == "vae" else 2)


def _heard(
    config: Config, dataset: Dataset, workdir: Path, every: dict[str, Stage], split: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A split's features, which of their rows each frame hears, and its codes."""
    rows = dataset.features(split), heard_rows(config, dataset, split)
    return *rows, codes(config, dataset, split, _frozen_vae(workdir, every))


def _frozen_vae(workdir: Path, every: dict[str, Stage]) -> Any:
    return checkpoint.restore_frozen(workdir, every["vae"], "vae")["vae"]


def heard_rows(config: Config, dataset: Dataset, split: str) -> np.ndarray:
    """The feature rows (frames, window) that each frame hears; they stay in its own segment."""
    pieces = [
        s.offset + window_steps(s.frames, config.blstm.window, config.blstm.delay)
        for s in dataset.segments
        if s.split == split
    ]
    return np.concatenate(pieces)


def codes(config: Config, dataset: Dataset, split: str, variables: Any) -> np.ndarray:
    """The VAE encoder's means (frames, code) of a split's figures, in order."""
    model = vae_network(config, dataset.size)
    means = jax.jit(lambda w: encode(model, variables, w))
    records = dataset.records(split)
    rows = []
    hidden = not hosts.is_first()
    with tqdm(total=len(records), desc=f"codes of {split}", unit="frame", disable=hidden) as bar:
        for first in range(0, len(records), 16):
            w = np.stack(
                [
                    archive.decode(records[i]["figure"], dataset.shape)
                    for i in range(first, min(first + 16, len(records)))
                ]
            )
            rows.append(in_batches(means, 16, w))
            bar.update(len(w))
    return np.concatenate(rows)
