"""Comparison of presets over several seeds on one dataset: means and standard deviations.

Each run is a workdir that infer.py accepts too. A new start resumes stopped runs and skips those
with a report.
"""

import copy
import functools
import runpy
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from lumiere_jax.commands import experiments
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.outputs import repeats_page as page
from lumiere_jax.outputs import report
from lumiere_jax.outputs.report_samples import read_own, sampled
from lumiere_jax.systems import registry
from lumiere_jax.systems.experiment import Experiment, Trial
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows.workdir_checks import checked


def repeat(
    *, presets: list[str], data: Path, out: Path, seeds: int = 3, steps: int | None = None
) -> None:
    """Trains and measures each preset with several seeds, and writes the page.

    Args:
      presets: Presets as FILE:PRESET, all of one system.
      data: Dataset.
      out: Folder of the runs and the page.
      seeds: Number of seeds, from 0 on; 1 to 100.
      steps: Steps of every stage, which then never stops early; by default the presets' own.

    Raises:
      UserError: the presets, the data or the output folder are unusable.
    """
    if not 1 <= seeds <= 100:
        raise UserError(f"--seeds={seeds}: use 1 to 100.")
    if steps is not None and steps < 1:
        raise UserError(f"--steps={steps}: use 1 or more.")
    configs = _chosen(presets, steps)
    repeats = Experiment(
        name="repeats",
        system=next(iter(configs.values())).system,
        trials=functools.partial(_trials, configs, seeds),
        write_page=functools.partial(_write_page, list(configs)),
    )
    experiments.experiment(repeats, data=data, out=out, chosen_by="--config")


def _chosen(presets: list[str], steps: int | None) -> dict[str, Any]:
    """Returns the validated config of each preset by its name."""
    configs = {preset.rpartition(":")[2]: _config(preset, steps) for preset in presets}
    if len(configs) < len(presets) or len({c.system for c in configs.values()}) > 1:
        raise UserError(f"--config={','.join(presets)}: name presets once, all of one system.")
    for config in configs.values():
        checked(config)  # before a system fits it to the dataset, which trusts its numbers
    return configs


def _trials(configs: Mapping[str, Any], seeds: int, dataset: Dataset) -> list[Trial]:
    trials = []
    for name, config in configs.items():
        system = registry.of(config)
        for own in _seeded(config, seeds):
            trials.append(
                Trial(
                    name=f"{name}-{own.seed}",
                    title=f"{name}, seed {own.seed}",
                    config=system.fit(own, dataset),
                    trains=registry.ENTRIES[system.name].stages,
                )
            )
    return trials


def _write_page(presets: list[str], trials: list[Trial], dataset: Dataset, out: Path) -> None:
    metrics: dict[str, list[dict[str, Any]]] = {name: [] for name in presets}
    for trial in trials:
        made = out / "runs" / trial.name / "report" / report.METRICS
        metrics[trial.name.rpartition("-")[0]].append(read_own(made))
    facts = {
        "Data": f"{dataset.frames('train'):,} frames to train on, "
        f"{dataset.frames('test'):,} to test, {float(dataset.fps):g} a second",
        "Steps": ", ".join(f"{name} {_steps(out, name)}" for name in metrics),
    }
    evaluation = registry.of(trials[0].config).evaluation
    samples = len(sampled(dataset.frames("test")))
    page.write_page(out, page.Repeats(evaluation, metrics, samples, facts))


def _seeded(config: Any, seeds: int) -> Iterator[Any]:
    for seed in range(seeds):
        own = copy.deepcopy(config)
        own.seed = seed
        yield own


def _config(preset: str, steps: int | None) -> Any:
    path, colon, name = preset.rpartition(":")
    try:
        if not colon:
            raise ValueError("name it as FILE:PRESET")
        config = runpy.run_path(path)["get_config"](name)
        registry.of(config)
    except UserError:
        raise
    except Exception as error:  # a config is a program
        raise UserError(f"--config={preset} cannot be read ({error}).") from error
    for stage in _stages(config) if steps else ():
        stage.steps = steps
        if hasattr(stage, "patience"):
            stage.patience = 0
    return config


def _stages(config: Any) -> list[Any]:
    parts = [getattr(config, item.name) for item in fields(config)]
    return [part for part in parts if is_dataclass(part) and hasattr(part, "steps")]


def _steps(out: Path, name: str) -> str:
    """Formats the steps that each stage of a preset's first run has taken."""
    workdir = out / "runs" / f"{name}-0"
    stages = sorted(path.parent for path in workdir.glob(f"*/{checkpoint.CHECKPOINTS}"))
    return " + ".join(f"{stage.name} {checkpoint.latest_step(stage):,}" for stage in stages)
