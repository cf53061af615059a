"""A dataset to a workdir of trained stages, each from its last checkpoint on."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lumiere_jax.codes.recurrent import windows
from lumiere_jax.errors import UserError
from lumiere_jax.figures.vae import VAE
from lumiere_jax.inputs import archive, pipeline
from lumiere_jax.inputs.lectures import Dataset, open_dataset
from lumiere_jax.systems.lumierenet import Config, load_vgg, stages
from lumiere_jax.systems.lumierenet.vae import encode
from lumiere_jax.training import checkpoint, loop
from lumiere_jax.workflows.workdir import Run, check_continues, checked, write_run

VALIDATION_BATCHES = 2
VALIDATION_SEED = 1


def train(*, config: Config, data: Path, workdir: Path, stage: str = "all") -> None:
    """Trains one stage, or all in order.

    Raises:
      UserError: anything about the config, the data, the workdir or the order of stages.
    """
    config = checked(config)
    dataset = open_dataset(data)
    every = stages(config, dataset.size)
    if stage != "all" and stage not in every:
        raise UserError(f"--stage={stage}: choose all, {', '.join(every)}.")
    chosen = list(every) if stage == "all" else [stage]
    run = Run(
        size=dataset.size,
        fps=dataset.fps,
        mean=dataset.mean,
        std=dataset.std,
        consent=dataset.consent,
        drawn_seed=dataset.drawn_seed,
        config=config,
    )
    for name in every:
        loop.data_mesh(every[name].batch)
    with loop.lock(workdir):
        trained = [name for name in every if checkpoint.latest_step(workdir / name) is not None]
        check_continues(workdir, run, trained)
        for name in chosen:
            for needed in every[name].needs:
                if needed not in trained and needed not in chosen:
                    raise UserError(
                        f"stage '{name}' needs '{needed}', which {workdir} has not trained: "
                        f"run with --stage={needed} first, or with --stage=all."
                    )
        frozen = {"vgg": load_vgg(config)}
        write_run(workdir, run)
        for name in chosen:
            batches, validation = _batches(name, config, dataset, workdir, every)
            loop.train(
                every[name],
                batches,
                validation,
                frozen,
                workdir,
                seed=config.seed,
                metadata={"config": asdict(config), "stage": name},
                checkpoint_seconds=config.checkpoint_seconds,
            )


def _batches(
    name: str, config: Config, dataset: Dataset, workdir: Path, every: dict[str, Any]
) -> tuple[loop.Batches, list[Any]]:
    """A stage's batches from a step on, and its held-out batches."""
    seed, batch, steps = config.seed, every[name].batch, every[name].steps

    def figures(split: str, first: int, last: int, size: int, seed: int) -> Iterator[Any]:
        return pipeline.figure_batches(dataset, split, size, seed, first, last)

    def triplets(split: str, first: int, last: int, size: int, seed: int) -> Iterator[Any]:
        stride = config.seqpix2pix.stride if split == "train" else 1
        return pipeline.triplet_batches(dataset, split, size, seed, stride, first, last)

    if name == "blstm":
        variables = checkpoint.restore_frozen(workdir, every["vae"], "vae")["vae"]
        tables = {
            split: (audio_windows(config, dataset, split), codes(config, dataset, split, variables))
            for split in ("train", "val")
        }

        def heard(split: str, first: int, last: int, size: int, seed: int) -> Iterator[Any]:
            return pipeline.window_batches(*tables[split], size, seed, first, last)

        make = heard
    else:
        make = figures if name == "vae" else triplets
    held_out = min(8, max(1, dataset.frames("val") - pipeline.MEMORY))
    validation = list(make("val", 0, VALIDATION_BATCHES, held_out, VALIDATION_SEED))
    return (lambda first: make("train", first, steps, batch, seed)), validation


def audio_windows(config: Config, dataset: Dataset, split: str) -> np.ndarray:
    """Each frame's look-back window (frames, window, 40), which stays in its own segment."""
    rows, width, delay = dataset.features(split), config.blstm.window, config.blstm.delay
    pieces = []
    for s in dataset.segments:
        if s.split == split:
            own = rows[s.offset : s.offset + s.frames]
            late = np.concatenate([own, np.repeat(own[-1:], delay, 0)])
            pieces.append(np.asarray(windows(late, width))[delay:])
    return np.concatenate(pieces)


def codes(config: Config, dataset: Dataset, split: str, variables: Any) -> np.ndarray:
    """The VAE encoder's means (frames, code) of a split's figures, in order."""
    model = VAE(dataset.size, config.vae.code)
    means = jax.jit(lambda w: encode(model, variables, w))
    records = dataset.records(split)
    rows = []
    with tqdm(total=len(records), desc=f"codes of {split}", unit="frame") as bar:
        for first in range(0, len(records), 16):
            w = np.stack(
                [
                    archive.decode(records[i]["figure"])
                    for i in range(first, min(first + 16, len(records)))
                ]
            )
            padded = np.concatenate([w, np.repeat(w[-1:], 16 - len(w), 0)])
            rows.append(np.asarray(means(padded))[: len(w)])
            bar.update(len(w))
    return np.concatenate(rows)
