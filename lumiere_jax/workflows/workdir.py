"""A workdir's metadata (`run.json`: size, statistics, consent, config, versions) and its checks."""

import functools
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import lumiere_jax
from lumiere_jax import systems
from lumiere_jax.errors import UserError
from lumiere_jax.files import read_json, write_whole
from lumiere_jax.inputs.dataset.consent import consent_id
from lumiere_jax.inputs.dataset.lectures import Dataset, describe_columns, described
from lumiere_jax.systems import ENTRIES
from lumiere_jax.systems.contract import Run, System
from lumiere_jax.training import checkpoint

FILE = "run.json"
# Format 1, until release 0.3.0, lists no columns: they follow from the kind of figures.
FORMAT = 2
# Absolute tolerance of log-mel statistics of the same footage; machines round differently.
ROUNDED = 1e-3


def run_of(config: Any, dataset: Dataset) -> Run:
    """Returns the description of a workdir trained with this config on this dataset."""
    return Run(
        size=dataset.size,
        fps=dataset.fps,
        figure=dataset.figure,
        geometry=dataset.geometry,
        columns=dataset.columns,
        mean=dataset.mean,
        std=dataset.std,
        consent=dataset.consent,
        drawn_seed=dataset.drawn_seed,
        config=config,
    )


def write_run(workdir: Path, run: Run) -> None:
    """Writes `run.json` atomically."""
    values = {
        "format": FORMAT,
        "size": run.size,
        "fps": str(run.fps),
        "figure": run.figure,
        **describe_columns(run),
        "mean": run.mean.tolist(),
        "std": run.std.tolist(),
        "consent": run.consent,
        "drawn_seed": run.drawn_seed,
        "config": asdict(run.config),
        **made_with(),
    }
    write_whole(workdir / FILE, json.dumps(values, indent=1) + "\n")


def made_with() -> dict[str, Any]:
    """Returns the package versions and the commit, for `run.json` and the checkpoints."""
    names = ("jax", "flax", "optax", "orbax-checkpoint")
    versions = {"lumiere_jax": lumiere_jax.__version__, **{name: version(name) for name in names}}
    return {"versions": versions, "commit": _commit()}


@functools.cache
def _commit() -> str | None:
    """Returns the commit of the package's checkout, with "-dirty" after changes, or None."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()


def read_run(workdir: Path) -> Run:
    """Reads `run.json`.

    Raises:
      UserError: the folder is no workdir, or its system or format is unknown.
    """
    path = workdir / FILE
    try:
        values = read_json(path)
    except OSError as error:
        raise UserError(
            f"{workdir} is not a trained workdir ({FILE} cannot be read): run train.py first."
        ) from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): train into a new --workdir.") from error
    try:
        if values["format"] > FORMAT:
            raise UserError(
                f"{workdir} was made by lumiere_jax {values.get('versions', {}).get('lumiere_jax')}"
                f", and this is {lumiere_jax.__version__}, which does not know its format "
                f"({values['format']}): update lumiere_jax, or name another --workdir."
            )
        if values["format"] not in (1, FORMAT):
            raise ValueError(f"format {values['format']!r} is not 1 to {FORMAT}")
        name = values["config"]["system"]
        if name not in ENTRIES:
            raise UserError(
                f"{workdir} was trained for the system '{name}', which this lumiere_jax does not "
                f"know ({', '.join(ENTRIES)}): update it, or name another --workdir."
            )
        config = _fill(systems.get(name).config(), values["config"])
        systems.get(name).check(config)
        return Run(config=config, **described(values))
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({error}): train into a new --workdir.") from error


def _fill(config: Any, values: Mapping[str, Any]) -> Any:
    for item in fields(config):
        if item.name in values:
            old, new = getattr(config, item.name), values[item.name]
            if is_dataclass(old):
                _fill(old, new)
            elif isinstance(old, tuple) and all(isinstance(part, str) for part in new):
                setattr(config, item.name, tuple(new))
            elif type(new) is type(old) or type(old) is float and type(new) is int:
                setattr(config, item.name, new)
            else:
                raise ValueError(f"its config says {item.name} = {new!r}")
    return config


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
        _check_architecture(f"--initial={initial}", stage, old.config, run.config)
        if checkpoint.latest_step(initial / stage) is None:
            raise UserError(
                f"--initial={initial} has no trained '{stage}' stage: train it there first, or "
                "name another workdir."
            )


def origin_of_initial(initial: Path, stage: str) -> dict[str, Any]:
    """Returns the person, consent record and step of a stage's initial networks, as metadata."""
    consent = read_run(initial).consent
    step = checkpoint.latest_step(initial / stage)
    return {"who": consent.get("who"), "consent": consent_id(dict(consent)), "step": step}


def _check_architecture(workdir: Path | str, stage: str, old: Any, new: Any) -> None:
    """Raises a UserError where a stage's architecture differs between two configs."""
    for key in systems.of(new).architecture[stage]:
        before, now = (getattr(getattr(config, stage), key) for config in (old, new))
        same = bool(before) == bool(now) if isinstance(now, float) else before == now
        if not same:
            raise UserError(
                f"{workdir} was trained with {stage}.{key}={before}, not {now}: "
                f"use --config.{stage}.{key}={before}, or name another --workdir."
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


def with_defaults(workdir: Path, name: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns options with the defaults of the flags that a system adds to infer.py.

    Args:
      workdir: The workdir, for the message.
      name: Its system.
      options: Values of flags that were given.

    Raises:
      UserError: An option is no such flag.
    """
    own = {flag.name: flag.default for flag in ENTRIES[name].flags}
    if other := [option for option in options or {} if option not in own]:
        raise UserError(
            f"--{other[0]} is no flag of '{name}', of which {workdir} is: leave it out."
        )
    return {**own, **(options or {})}


def origin(consent: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a video's record of its origin: generator, consent record and person."""
    return {
        "generator": f"lumiere_jax {lumiere_jax.__version__}",
        "consent": consent_id(dict(consent)),
        "who": consent.get("who"),
    }


def checked(config: Any) -> System:
    """Validates a config and returns its system."""
    system = systems.of(config)
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
