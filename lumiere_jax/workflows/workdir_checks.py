"""Checks that a config, a dataset and a workdir go together, before anything expensive."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import Run, System
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows.workdir import FILE, read_run, run_of

# Absolute tolerance of log-mel statistics of the same footage; machines round differently.
ROUNDED = 1e-3


def check_continues(workdir: Path, run: Run, trained: list[str]) -> None:
    """Raises a UserError unless `run` can continue in a workdir with these trained stages."""
    if not (workdir / FILE).exists():
        if trained:
            raise UserError(
                f"{workdir} has trained stages and no {FILE}, which says whose they are: put it "
                "back, or name another --workdir."
            )
        return
    old = read_run(workdir)
    if old.config.system != run.config.system:
        raise UserError(
            f"{workdir} was trained for the system '{old.config.system}', not for "
            f"'{run.config.system}': name another --workdir."
        )
    if old.size != run.size:
        raise UserError(
            f"{workdir} was trained at {old.size} px and the data has {run.size} px: "
            f"name another --workdir, or prepare the footage with --size={old.size}."
        )
    if trained:
        check_same_data(workdir, old, run)
    for stage in trained:
        _check_architecture(workdir, stage, old.config, run.config)


def check_initial(initial: Path, run: Run, stages: list[str]) -> None:
    """Raises a UserError unless these stages can start from the workdir `initial`."""
    old = read_run(initial)
    if old.config.system != run.config.system or old.shape != run.shape:
        raise UserError(
            f"--initial={initial} is of '{old.config.system}' with pictures of "
            f"{old.shape[1]}x{old.shape[0]}, and this run of '{run.config.system}' with "
            f"{run.shape[1]}x{run.shape[0]}: name a workdir like it."
        )
    for stage in stages:
        _check_architecture(initial, stage, old.config, run.config, "--initial")
        if checkpoint.latest_step(initial / stage) is None:
            raise UserError(
                f"--initial={initial} has no trained '{stage}' stage: train it there first, or "
                "name another --initial."
            )


def _check_architecture(
    workdir: Path, stage: str, old: Any, new: Any, flag: str = "--workdir"
) -> None:
    """Raises a UserError where a stage's architecture differs between two configs."""
    for key in registry.of(new).architecture[stage]:
        before, now = (getattr(getattr(config, stage), key) for config in (old, new))
        same = bool(before) == bool(now) if isinstance(now, float) else before == now
        if not same:
            raise UserError(
                f"{workdir} was trained with {stage}.{key}={before}, not {now}: "
                f"use --config.{stage}.{key}={before}, or name another {flag}."
            )


def check_follows(workdir: Path, stage: str, needed: str, step: int | None) -> None:
    """Raises a UserError unless a stage was trained on this `step` of the stage it needs."""
    before = checkpoint.read_metadata(workdir / stage).get("needs", {}).get(needed)
    if before != step:
        what = f"on step {before} of" if before else "without"
        raise UserError(
            f"{workdir / stage} was trained {what} '{needed}', not on its step {step}: "
            f"move that folder elsewhere and train '{stage}' anew, or name another --workdir."
        )


def check_same_data(workdir: Path, old: Run, run: Run, flag: str = "--workdir") -> None:
    """Raises a UserError where two runs differ in data or in consent record.

    A lecturer's networks must never train on another's data, or carry another's consent.
    """
    different = [
        name for name in ("consent", "figure", "fps") if getattr(old, name) != getattr(run, name)
    ]
    different += [
        name
        for name in ("mean", "std")
        if not np.allclose(getattr(old, name), getattr(run, name), rtol=0, atol=ROUNDED)
    ]
    if different:
        names = {"mean": "statistics of the sound", "std": "statistics of the sound"}
        raise UserError(
            f"{workdir} was trained on another dataset ({names.get(different[0], different[0])} "
            f"differ): name that dataset, or another {flag}."
        )


def check_same_run(workdir: Path, config: Any, dataset: Dataset) -> None:
    """Raises a UserError where the workdir exists with another config or dataset."""
    if not (workdir / FILE).exists():
        return
    old = read_run(workdir)
    before, now = _flat(asdict(old.config)), _flat(asdict(config))
    for name, value in now.items():
        if before.get(name) != value:
            raise UserError(
                f"{workdir} was trained with {name}={before.get(name)}, not {value}: name another "
                "--out, or give the settings it was made with."
            )
    if old.size != dataset.size:
        raise UserError(
            f"{workdir} was trained at {old.size} px and {dataset.folder} has {dataset.size} px: "
            "name another --out."
        )
    check_same_data(workdir, old, run_of(config, dataset), "--out")


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def checked(config: Any) -> System:
    """Validates a config and returns its system."""
    system = registry.of(config)
    system.check(config)
    return system


def check_kind(system: System, dataset: Dataset, data: Path, flag: str = "--config") -> None:
    """Raises a UserError unless the dataset has the geometry and columns that the system needs."""
    if dataset.geometry != system.geometry:
        raise UserError(
            f"{data} is of {dataset.geometry.pictures}, which '{system.name}' is not made for: "
            f"prepare the footage with --system={system.name}, or name another {flag}."
        )
    there = [column.described() for column in dataset.columns]
    if lacking := [c.name for c in system.columns if c.described() not in there]:
        raise UserError(
            f"{data} has no column '{lacking[0]}', which '{system.name}' wants: prepare the "
            f"footage with --system={system.name}, or name another {flag}."
        )
