"""The paper's experiments and the ablation: trains, measures and compares their trials.

Each trial is a workdir that infer.py and evaluate.py accept too. Stages that trials share are
trained once and linked. A new run resumes stopped trials and skips those with a report.
"""

import copy
import dataclasses
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lumiere_jax import vgg
from lumiere_jax.commands import evaluate
from lumiere_jax.commands.train import train
from lumiere_jax.errors import UserError
from lumiere_jax.files import write_whole
from lumiere_jax.inputs.dataset import description
from lumiere_jax.inputs.dataset.lectures import DESCRIPTION, Dataset, open_dataset
from lumiere_jax.outputs import report
from lumiere_jax.runtime.disk_space import written_into
from lumiere_jax.runtime.locks import LOCK, lock
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.system import load_vgg
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows import report_samples, trial_comparison
from lumiere_jax.workflows.experiment_trials import STAGES, Trial, ablation_trials, paper_trials
from lumiere_jax.workflows.workdir import FILE, run_of, write_run
from lumiere_jax.workflows.workdir_checks import check_same_run, checked

POOLS = Config().vgg_layers


def experiment(
    *,
    paper: Config,
    lecture: Config,
    data: Path,
    out: Path,
    which: str = "paper",
    layers: tuple[str, ...] = (),
    plain: Path | None = None,
) -> None:
    """Trains, measures and compares the trials of the paper or of the ablation.

    Args:
      paper: Config of the paper's model.
      lecture: Config of the preset `lecture`.
      data: Dataset.
      out: Folder of the trials and the page.
      which: "paper" or "ablation".
      layers: VGG-19's layers for perceptual losses; by default those of `stand_in`.
      plain: The same footage without explicit eyes, lips and fingers, for one row of the ablation.

    Raises:
      UserError: the configs, the weights, the data or the output folder are unusable.
    """
    dataset = open_dataset(data)
    if dataset.geometry.aligned:
        raise UserError(
            f"{data} is of aligned faces: name presets to compare, as in "
            "--config=configs/temporal_gan.py:small,configs/temporal_gan.py:small-static."
        )
    if dataset.frames("test") < 2:
        raise UserError(f"{data} has no two test frames to compare: prepare longer footage.")
    if (out / DESCRIPTION).exists():
        raise UserError(f"--out={out} is a dataset's folder: name another one.")
    used = (paper, lecture) if which == "paper" else (lecture,)
    if lecture.vgg != "none":
        layers = layers or stand_in(lecture)
        for config in used:
            config.vgg_layers = layers
    if which == "paper":
        trials = paper_trials(paper, lecture)
    else:
        trials = ablation_trials(lecture, _open_plain(plain, dataset) if plain else None)
    for trial in trials:
        checked(trial.config)
    with lock(out / LOCK, out), written_into(out):
        _check_kind(out, which)
        for trial in trials:
            check_same_run(out / "runs" / trial.name, trial.config, trial.data or dataset)
        run(trials, dataset, out)
        trial_comparison.compare(trials, dataset, out, which)


def stand_in(config: Config) -> tuple[str, ...]:
    """Returns the paper's pools, or relu1_1, relu2_1 and relu3_1 for weights without pool3."""
    config = copy.copy(config)
    config.vgg_layers = ()
    allowed = vgg.allowed_layers(load_vgg(config))
    return POOLS if POOLS[-1] in allowed else ("relu1_1", "relu2_1", "relu3_1")


def _open_plain(plain: Path, dataset: Dataset) -> Dataset:
    """Opens the dataset of plain figures; raises a UserError unless its footage is the same."""
    other = open_dataset(plain)
    wanted = dataclasses.replace(dataset, figure=description.figure_scheme(dataset.figure, False))
    for name in ("figure", "size", "fps", "segments", "drawn_seed", "consent", "mean", "std"):
        if not np.array_equal(getattr(other, name), getattr(wanted, name)):
            raise UserError(
                f"--plain={plain} is not {dataset.folder} with plain figures (other {name}): "
                "prepare the same footage in the same way, and with --noexplicit."
            )
    return other


def _check_kind(out: Path, which: str) -> None:
    path = out / trial_comparison.RESULTS
    kind = report_samples.read_own(path).get("which", which) if path.exists() else which
    if kind != which:
        raise UserError(f"--out={out} holds the results of --which={kind}: name another folder.")


def run(trials: list[Trial], dataset: Dataset, out: Path) -> None:
    """Trains and measures the trials that are not complete."""
    todo = [trial for trial in trials if not _is_done(out / "runs" / trial.name, trial, dataset)]
    for number, trial in enumerate(todo, 1):
        workdir = out / "runs" / trial.name
        tqdm.write(f"\n{trial.title} ({number} of {len(todo)}): {workdir}")
        own = trial.data or dataset
        _link(workdir, trial)
        if not (workdir / FILE).exists():  # linked stages are from the same dataset
            write_run(workdir, run_of(trial.config, own))
        for stage in trial.trains:
            _train(trial.config, own, workdir, stage)
        for mark, measure in _measures(trial, own, workdir).items():
            if not mark.exists():
                measure()


def _is_done(workdir: Path, trial: Trial, dataset: Dataset) -> bool:
    return all(mark.exists() for mark in _measures(trial, dataset, workdir))


def _measures(trial: Trial, dataset: Dataset, workdir: Path) -> dict[Path, Callable[[], Any]]:
    """Returns a trial's measurements, by the file that each one writes at its end."""
    found: dict[Path, Callable[[], Any]] = {}
    if trial.draws:
        out = workdir / "report"
        found[out / report.METRICS] = lambda: evaluate.evaluate(
            workdir=workdir, data=dataset.folder, split="test", out=out
        )
    for wanted, name, measure in (
        (trial.figure_4a, trial_comparison.LOSSES, trial_comparison.blstm_losses),
        (trial.codes_alone, trial_comparison.FIGURES, trial_comparison.figure_measures),
    ):
        if wanted:
            values = functools.partial(measure, trial.config, dataset, workdir)
            found[workdir / name] = functools.partial(_write, workdir / name, values)
    return found


def _write(path: Path, values: Callable[[], Any]) -> None:
    write_whole(path, json.dumps(values(), indent=1) + "\n")


def _link(workdir: Path, trial: Trial) -> None:
    """Links the stages that a trial does not train to those of the trial that does."""
    workdir.mkdir(parents=True, exist_ok=True)
    for stage in STAGES if trial.links else ():
        place = workdir / stage
        if stage not in trial.trains and not place.is_symlink():
            place.symlink_to(Path("..") / trial.links / stage)


def _train(config: Config, dataset: Dataset, workdir: Path, stage: str) -> None:
    """Trains a stage, and records its duration unless the stage was resumed."""
    fresh = checkpoint.latest_step(workdir / stage) is None
    start = time.monotonic()
    train(config=config, data=dataset.folder, workdir=workdir, stage=stage)
    if fresh:
        path = workdir / trial_comparison.TIMES
        times = report_samples.read_own(path) if path.exists() else {}
        times[stage] = round(time.monotonic() - start)
        write_whole(path, json.dumps(times) + "\n")
