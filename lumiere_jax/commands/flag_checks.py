"""Validates the scripts' flags and calls the matching command."""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lumiere_jax.errors import UserError
from lumiere_jax.paths import expanded, user_path
from lumiere_jax.systems.entry import Entry, Flag
from lumiere_jax.systems.registry import ENTRIES

ROOT = Path(__file__).parents[2]
PATHS = ("workdir", "certificate", "key", "image", "consent")
FACES = ("image", "paste", "consent")


def run_infer(given: Mapping[str, Any]) -> int:
    """Validates infer.py's flags and calls `verify`, `live` or `infer`.

    Args:
      given: Values of the flags that the user gave, by name.

    Returns:
      The exit code: 1 where `verify` finds no sign of synthesis, else 0.

    Raises:
      UserError: flags are missing or exclude each other, and see `verify`, `live` and `infer`.
    """
    if "verify" in given:
        if others := [name for name in given if name != "verify"]:
            raise UserError(f"--verify only looks at a video: leave --{others[0]} out.")
        from lumiere_jax.commands.verify import verify

        return 0 if verify(user_path("--verify", given["verify"])) else 1
    if not all(given.get(name) for name in ("workdir", "audio", "out")):
        raise UserError("name --workdir, --audio and --out (see --help).")
    if ("certificate" in given) != ("key" in given):
        raise UserError("name --certificate and --key together, or neither.")
    own: dict[str, Any] = {k: user_path(f"--{k}", v) if k in PATHS else v for k, v in given.items()}
    if own["out"] != "-":
        own["out"] = str(user_path("--out", own["out"]))
    options = _values([flag for entry in ENTRIES.values() for flag in entry.flags], own)
    if own.pop("live", False):
        if options:
            raise UserError(f"--{next(iter(options))} does not go with --live: leave it out.")
        if of_faces := [name for name in FACES if name in own]:
            raise UserError(f"--live speaks with a lecturer's model: leave --{of_faces[0]} out.")
        if "sound_track" in own:
            raise UserError("--sound_track goes with files: leave it or --live out.")
        from lumiere_jax.commands.live import live

        print(live(**own), file=sys.stderr)
    else:
        from lumiere_jax.commands.infer import infer

        own |= {"audio": expanded("--audio", own["audio"]), "out": Path(own["out"])}
        frames = infer(**own, options=options)
        print(f"{own['out']}: {frames} frames, marked as synthetic.")
    return 0


def _values(flags: Iterable[Flag], own: dict[str, Any]) -> dict[str, Any]:
    """Removes the values of flags from `own` and returns them, paths expanded."""
    options = {}
    for flag in flags:
        if flag.name in own:
            value = own.pop(flag.name)
            if flag.kind == "path" and value:
                value = user_path(f"--{flag.name}", value)
            options[flag.name] = value
    return options


def run_train(
    *, config: Any, data: str, workdir: str, stage: str = "all", initial: str | None = None
) -> None:
    """Converts train.py's flags and calls `train`."""
    from lumiere_jax.commands.train import train

    paths = {"data": user_path("--data", data), "workdir": user_path("--workdir", workdir)}
    first = user_path("--initial", initial) if initial else None
    train(config=config, stage=stage, initial=first, **paths)


def run_evaluate(given: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], Path]:
    """Validates evaluate.py's flags, by name as `given`, and calls `evaluate`.

    Returns:
      The metrics by stage and name, and the report's folder.

    Raises:
      UserError: flags are missing, and see `evaluate`.
    """
    if not all(given.get(name) for name in ("workdir", "data", "out")):
        raise UserError("name --workdir, --data and --out (see --help).")
    from lumiere_jax.commands.evaluate import evaluate

    own: dict[str, Any] = {
        k: v if k == "split" else user_path(f"--{k}", v) for k, v in given.items()
    }
    return evaluate(**own), own["out"]


def run_experiments(given: Mapping[str, Any], presets_of: Callable[[str], Any]) -> Path:
    """Validates experiments.py's flags and calls `experiment` or `repeat`.

    Args:
      given: Values of the flags that the user gave, by name.
      presets_of: Imports the module of a system's presets, configs/SYSTEM.py.

    Returns:
      The path of the page.

    Raises:
      UserError: flags are missing or exclude each other, and see `experiment` and `repeat`.
    """
    if not (given.get("data") and given.get("out")):
        raise UserError("name --data and --out (see --help).")
    own = dict(given)
    places = {name: user_path(f"--{name}", own.pop(name)) for name in ("data", "out")}
    page = places["out"] / "index.html"
    more = {name: own.pop(name) for name in ("seeds", "steps") if name in own}
    if presets := own.pop("config", None):
        if own:
            raise UserError(f"--{next(iter(own))} does not go with --config: leave it out.")
        _repeat([expanded("--config", name) for name in presets], **places, **more)
        return page
    entry = ENTRIES[own.pop("system", next(iter(ENTRIES)))]
    which = _which(entry, own.pop("which", None))
    flags = () if which in entry.repeats else entry.experiment_flags
    options = {flag.name: flag.default for flag in flags} | _values(flags, own)
    if which not in entry.repeats:
        own |= more
    if own:
        raise UserError(
            f"--{next(iter(own))} is not for --which={which} of '{entry.name}': leave it out."
        )
    if repeats := entry.repeats.get(which):
        presets = [f"{ROOT / entry.config}:{name}" for name in repeats.presets]
        _repeat(presets, **places, **{"steps": repeats.steps, **more})
    elif entry.experiment:
        from lumiere_jax.commands.experiments import experiment

        chosen = entry.experiment(which, presets_of(entry.name), options)
        experiment(chosen, data=places["data"], out=places["out"])
    return page


def _which(entry: Entry, name: str | None) -> str:
    """Returns the name of an experiment, by default the system's first."""
    if not entry.comparisons:
        raise UserError(f"'{entry.name}' has no experiments: compare presets by --config.")
    name = name or entry.comparisons[0]
    if name not in entry.comparisons:
        raise UserError(
            f"--which={name} is no experiment of '{entry.name}': choose "
            f"{' or '.join(entry.comparisons)}, or another --system."
        )
    return name


def _repeat(presets: list[str], **given: Any) -> None:
    from lumiere_jax.commands.repeats import repeat

    repeat(presets=presets, **given)
