"""Trains, measures and compares the trials of an experiment.

Each trial is a workdir that infer.py and evaluate.py accept too. Stages that trials share are
trained once and linked. A new run resumes stopped trials and skips those with a report.
"""

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lumiere_jax.commands import evaluate
from lumiere_jax.commands.train import train
from lumiere_jax.errors import UserError
from lumiere_jax.files import write_whole
from lumiere_jax.inputs.dataset.lectures import DESCRIPTION, Dataset, open_dataset
from lumiere_jax.outputs import report
from lumiere_jax.outputs.report_samples import read_own
from lumiere_jax.runtime.disk_space import written_into
from lumiere_jax.runtime.locks import LOCK, lock
from lumiere_jax.systems import registry
from lumiere_jax.systems.experiment import TIMES, Experiment, Trial
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows.workdir import FILE, run_of, write_run
from lumiere_jax.workflows.workdir_checks import check_kind, check_same_run, checked


def experiment(chosen: Experiment, *, data: Path, out: Path, chosen_by: str = "--system") -> None:
    """Trains, measures and compares the trials of an experiment.

    Args:
      chosen: The experiment.
      data: Dataset.
      out: Folder of the trials and the page.
      chosen_by: Flag that decides whose experiment it is, for messages.

    Raises:
      UserError: the configs, the weights, the data or the output folder are unusable.
    """
    dataset = open_dataset(data)
    check_kind(registry.get(chosen.system), dataset, data, chosen_by)
    if dataset.frames("test") < 2:
        raise UserError(f"{data} has no two test frames to compare: prepare longer footage.")
    if (out / DESCRIPTION).exists():
        raise UserError(f"--out={out} is a dataset's folder: name another one.")
    trials = chosen.trials(dataset)
    for trial in trials:
        checked(trial.config)
    with lock(out / LOCK, out), written_into(out):
        _check_name(out, chosen.name)
        for trial in trials:
            check_same_run(out / "runs" / trial.name, trial.config, trial.data or dataset)
        run(trials, dataset, out)
        chosen.write_page(trials, dataset, out)


def _check_name(out: Path, name: str) -> None:
    path = out / report.RESULTS
    other = read_own(path).get("which", name) if path.exists() else name
    if other != name:
        raise UserError(f"--out={out} holds the results of --which={other}: name another folder.")


def run(trials: list[Trial], dataset: Dataset, out: Path) -> None:
    """Trains and measures the trials that are not complete."""
    todo = [trial for trial in trials if not _is_done(out / "runs" / trial.name, trial, dataset)]
    for number, trial in enumerate(todo, 1):
        workdir = out / "runs" / trial.name
        tqdm.write(f"\n{trial.title} ({number} of {len(todo)}): {workdir}")
        own = trial.data or dataset
        _link(workdir, trial)
        if trial.links and not (workdir / FILE).exists():  # of the dataset of what it links to
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
    if trial.evaluated:
        out = workdir / "report"
        found[out / report.METRICS] = lambda: evaluate.evaluate(
            workdir=workdir, data=dataset.folder, split="test", out=out
        )
    for name, measure in trial.measures.items():
        values = functools.partial(measure, trial.config, dataset, workdir)
        found[workdir / name] = functools.partial(_write, workdir / name, values)
    return found


def _write(path: Path, values: Callable[[], Any]) -> None:
    write_whole(path, json.dumps(values(), indent=1) + "\n")


def _link(workdir: Path, trial: Trial) -> None:
    """Links the stages that a trial does not train to those of the trial that does."""
    workdir.mkdir(parents=True, exist_ok=True)
    stages = registry.ENTRIES[trial.config.system].stages
    for stage in stages if trial.links else ():
        place = workdir / stage
        if stage not in trial.trains and not place.is_symlink():
            place.symlink_to(Path("..") / trial.links / stage)


def _train(config: Any, dataset: Dataset, workdir: Path, stage: str) -> None:
    """Trains a stage, and records its duration unless the stage was resumed."""
    fresh = checkpoint.latest_step(workdir / stage) is None
    start = time.monotonic()
    train(config=config, data=dataset.folder, workdir=workdir, stage=stage)
    if fresh:
        path = workdir / TIMES
        times = read_own(path) if path.exists() else {}
        times[stage] = round(time.monotonic() - start)
        write_whole(path, json.dumps(times) + "\n")
