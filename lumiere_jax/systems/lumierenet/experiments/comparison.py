"""Comparison of finished trials: measures of single stages, and the data of the page."""

import csv
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

import lumiere_jax
from lumiere_jax import losses
from lumiere_jax.body_parts import part_mask
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.measures import evaluation, summaries
from lumiere_jax.measures.evaluation import BATCH
from lumiere_jax.outputs import report
from lumiere_jax.outputs import trials_page as page
from lumiere_jax.runtime.chunks import in_batches
from lumiere_jax.systems.lumierenet.blstm import blstm_network
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.feed import codes, heard_rows
from lumiere_jax.systems.lumierenet.hearing import split_features
from lumiere_jax.systems.lumierenet.system import stages
from lumiere_jax.systems.lumierenet.vae import reconstruct, vae_network
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows import report_samples
from lumiere_jax.workflows.experiment_trials import Trial

RESULTS = page.RESULTS
LOSSES, FIGURES, TIMES = "losses.json", "figures.json", "times.json"


def compare(trials: list[Trial], dataset: Dataset, out: Path, which: str) -> None:
    """Writes the page and its numbers into `out`; `which` is "paper" or "ablation"."""
    folder = out / "runs"
    windows = {
        trial.config.blstm.window: report_samples.read_own(folder / trial.name / LOSSES)
        for trial in trials
        if trial.figure_4a
    }
    first = trials[0]
    shown = [trial for trial in trials if trial.draws or trial.codes_alone]
    if which == "paper":
        # Baselines come before the model whose stages they link to, as in Table 1.
        shown.sort(key=lambda trial: not trial.links)
    page.write_page(
        out,
        page.Comparison(
            which=which,
            made=[_made(trial, folder) for trial in shown],
            facts=_facts(first.config, dataset),
            samples=len(report_samples.sampled(dataset.frames("test"))),
            boxes=_boxes(dataset),
            windows=[{"window": window, **windows[window]} for window in sorted(windows)],
            log=report_samples.log_lines(folder / first.name / "blstm") if windows else [],
            window=first.config.blstm.window,
        ),
    )


def _facts(config: Config, dataset: Dataset) -> dict[str, str]:
    v, b, s = config.vae, config.blstm, config.seqpix2pix
    return {
        "Budget": f"{s.steps * s.batch:,} triplets, of "
        f"{'all' if s.stride == 1 else f'one in {s.stride}'} frames, for each SeqPix2Pix of width "
        f"{s.width} at {dataset.size} px; {v.steps:,} steps of {v.batch} for a VAE and "
        f"{b.steps:,} of {b.batch} for a BLSTM.",
        "Data": f"{dataset.frames('train'):,} frames to train on, {dataset.frames('test'):,} to "
        f"test, {float(dataset.fps):g} a second; {dataset.figure} figures",
        "Perceptual terms": f"{_layers(config)} ({Path(config.vgg).name})",
        "Made by": f"lumiere_jax {lumiere_jax.__version__}",
    }


def _layers(config: Config) -> str:
    if config.vgg == "none":
        return "no VGG-19"
    stand_ins = config.vgg_layers != Config().vgg_layers
    return ", ".join(config.vgg_layers) + (" in place of the pools" if stand_ins else "")


def _made(trial: Trial, folder: Path) -> page.Made:
    workdir = folder / trial.name
    times = report_samples.read_own(workdir / TIMES) if (workdir / TIMES).exists() else {}
    if trial.codes_alone:
        metrics = {"vae": report_samples.read_own(workdir / FIGURES)}
        return page.Made(name=trial.name, title=trial.title, metrics=metrics, seconds=times)
    with (workdir / "report" / report_samples.FRAMES).open() as handle:
        rows = list(csv.DictReader(handle))
    metrics = report_samples.read_own(workdir / "report" / report.METRICS)
    if trial.data:
        del metrics["vae"]  # its figures are plain, so the VAE's numbers do not compare
    s = trial.config.seqpix2pix
    took = f", {times['seqpix2pix'] / 60:.1f} min" if "seqpix2pix" in times else ""
    return page.Made(
        name=trial.name,
        title=trial.title,
        metrics=metrics,
        sets=tuple(_table_1(part) for part in _test_sets(rows)),
        budget=f"{s.steps * s.batch:,} triplets, width {s.width}, {_layers(trial.config)}{took}",
        seconds=times,
    )


def _test_sets(rows: list[dict[str, str]]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Splits the rows into two test sets of similar length, between clips where possible."""
    half = len(rows) // 2
    ends = [i for i in range(1, len(rows)) if rows[i]["clip"] != rows[i - 1]["clip"]]
    cut = min(ends, key=lambda end: abs(end - half)) if ends else half
    return rows[:cut], rows[cut:]


def _table_1(rows: list[dict[str, str]]) -> dict[str, float | None]:
    values = {
        name: np.array([float(row[f"seqpix2pix.{name}"] or "inf") for row in rows])
        for name in ("mse", "psnr", "ssim")
    }
    return summaries.averages(values)


def _boxes(dataset: Dataset) -> dict[str, list[tuple[int, int, int] | None]]:
    """Returns (x, y, side) in pixels of squares around face and hands in the report's samples."""
    records = dataset.records("test")
    boxes: dict[str, list[tuple[int, int, int] | None]] = {"face": [], "hands": []}
    for index in report_samples.sampled(dataset.frames("test")):
        keypoints = records[index]["keypoints"]
        for part, found in boxes.items():
            found.append(
                _square(np.asarray(part_mask(keypoints[None], dataset.shape, part))[0, :, :, 0])
            )
    return {part: found for part, found in boxes.items() if any(found)}


def _square(mask: np.ndarray) -> tuple[int, int, int] | None:
    """Returns (x, y, side) of the smallest square around a mask; None for an empty mask."""
    if not mask.any():
        return None
    size, ends = len(mask), [np.flatnonzero(mask.any(axis)) for axis in (0, 1)]
    side = int(max(end[-1] - end[0] for end in ends)) + 1
    x, y = (min(max(0, int(e[0] + e[-1] + 1 - side) // 2), size - side) for e in ends)
    return x, y, side


def blstm_losses(config: Config, dataset: Dataset, workdir: Path) -> dict[str, float]:
    """Measures a trained BLSTM on training frames and on held-out ones (val and test).

    Returns:
      Mean squared errors "train" and "held_out", and as "train_variance" and "held_out_variance"
      the codes' mean squared distances from the training mean.
    """
    every = stages(config, dataset.size)
    vae = checkpoint.restore_frozen(workdir, every["vae"], "vae")["vae"]
    variables = checkpoint.restore_frozen(workdir, every["blstm"], "blstm")["blstm"]
    model = blstm_network(config)
    error = jax.jit(lambda a, z: losses.mse(model.apply(variables, a), z))

    def missed(rows: np.ndarray, steps: np.ndarray, z: np.ndarray) -> jax.Array:
        return error(rows[steps], z)

    values: dict[str, list[Any]] = {}
    mean = np.zeros(())
    for split in ("train", "val", "test"):
        if not dataset.frames(split):
            continue
        rows, steps = split_features(dataset, split), heard_rows(config, dataset, split)
        z = codes(config, dataset, split, vae)
        mean = z.mean(0) if split == "train" else mean
        part = "train" if split == "train" else "held_out"
        found = in_batches(functools.partial(missed, rows), 64, steps, z)
        values.setdefault(part, []).append(found)
        values.setdefault(f"{part}_variance", []).append(((z - mean) ** 2).mean(1))
    return {name: float(np.concatenate(parts).mean()) for name, parts in values.items()}


def figure_measures(config: Config, dataset: Dataset, workdir: Path) -> dict[str, float | None]:
    """Compares a trained VAE's reconstructions with the test split's figures, by measure."""
    vae = checkpoint.restore_frozen(workdir, stages(config, dataset.size)["vae"], "vae")["vae"]
    model = vae_network(config, dataset.size)
    again = jax.jit(lambda w: reconstruct(model, vae, w))
    records, values = dataset.records("test"), []
    for first in range(0, len(records), BATCH):
        known = [records[i] for i in range(first, min(first + BATCH, len(records)))]
        w = np.stack([picture_bytes.decode(record["figure"], dataset.shape) for record in known])
        keypoints = np.stack([record["keypoints"] for record in known])
        values.append(evaluation.judge(in_batches(again, BATCH, w), w, keypoints))
    return summaries.averages({n: np.concatenate([v[n] for v in values]) for n in values[0]})
