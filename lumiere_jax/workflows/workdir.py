"""A workdir's metadata (`run.json`: size, statistics, consent, config, versions) and its checks."""

import functools
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lumiere_jax
from lumiere_jax.errors import UserError
from lumiere_jax.files import read_json, write_whole
from lumiere_jax.inputs.dataset.consent import consent_id
from lumiere_jax.inputs.dataset.description import describe_columns, described
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import Run
from lumiere_jax.systems.registry import ENTRIES
from lumiere_jax.training import checkpoint

FILE = "run.json"
# Format 1, until release 0.3.0, lists no columns: they follow from the kind of figures.
FORMAT = 2


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
        config = _fill(registry.get(name).config(), values["config"])
        registry.get(name).check(config)
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


def origin_of_initial(initial: Path, stage: str) -> dict[str, Any]:
    """Returns the person, consent record and step of a stage's initial networks, as metadata."""
    consent = read_run(initial).consent
    step = checkpoint.latest_step(initial / stage)
    return {"who": consent.get("who"), "consent": consent_id(dict(consent)), "step": step}


def origin(consent: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a video's record of its origin: generator, consent record and person."""
    return {
        "generator": f"lumiere_jax {lumiere_jax.__version__}",
        "consent": consent_id(dict(consent)),
        "who": consent.get("who"),
    }
