"""Comparison of finished trials: the content of the page."""

import csv
from pathlib import Path

import numpy as np

import lumiere_jax
from lumiere_jax.body_parts import part_mask
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.measures import summaries
from lumiere_jax.outputs import report, report_samples
from lumiere_jax.systems.experiment import TIMES, Trial
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.experiments import trials_page as page
from lumiere_jax.systems.lumierenet.experiments.trials import FIGURES, LOSSES


def compare(trials: list[Trial], dataset: Dataset, out: Path, which: str) -> None:
    """Writes the page and its numbers into `out`; `which` is "paper" or "ablation"."""
    folder = out / "runs"
    windows = {
        trial.config.blstm.window: report_samples.read_own(folder / trial.name / LOSSES)
        for trial in trials
        if LOSSES in trial.measures
    }
    first = trials[0]
    shown = [trial for trial in trials if trial.evaluated or FIGURES in trial.measures]
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
    if FIGURES in trial.measures:
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
