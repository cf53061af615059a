"""Validates the scripts' flags and calls the matching command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumiere_jax.errors import UserError
from lumiere_jax.paths import expanded, user_path
from lumiere_jax.systems.entry import Entry, Flag
from lumiere_jax.systems.registry import ENTRIES

if TYPE_CHECKING:
    from lumiere_jax.systems.experiment import Experiment

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
    options = _options(own)
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


def _options(own: dict[str, Any]) -> dict[str, Any]:
    """Removes the values of systems' flags from `own` and returns them."""
    return _values((flag for entry in ENTRIES.values() for flag in entry.flags), own)


def _values(flags: Iterable[Flag], own: dict[str, Any]) -> dict[str, Any]:
    """Removes the values of flags from `own` and returns them, paths expanded."""
    options = {}
    for flag in flags:
        if flag.name in own:
            value = own.pop(flag.name)
            is_path = flag.kind == "path" and value
            options[flag.name] = user_path(f"--{flag.name}", value) if is_path else value
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
    presets = own.pop("config", None)
    entry = ENTRIES[own.pop("system", next(iter(ENTRIES)))]
    which = next(iter((*entry.experiments, *entry.repeats)), "")
    if not presets:
        which = own.pop("which", which)
        if repeats := entry.repeats.get(which):
            presets = [f"{entry.config}:{name}" for name in repeats.presets]
            more = {"steps": repeats.steps, **more}
    if presets:
        if own:
            raise UserError(
                f"--{next(iter(own))} does not go with presets that are repeated: leave it out."
            )
        from lumiere_jax.commands.repeats import repeat

        repeat(presets=[expanded("--config", name) for name in presets], **places, **more)
        return page
    if more:
        raise UserError(f"--{next(iter(more))} goes with --config=FILE:PRESET: add that.")
    from lumiere_jax.commands.experiments import experiment

    experiment(_chosen(entry, which, own, presets_of), **places)
    return page


def _chosen(
    entry: Entry, which: str, own: dict[str, Any], presets_of: Callable[[str], Any]
) -> Experiment:
    """Makes a system's experiment of a name; raises UserError where it has none."""
    options = _values(entry.experiment_flags, own)
    if entry.experiment is None or which not in entry.experiments or own:
        known = ", ".join((*entry.experiments, *entry.repeats)) or "none"
        wrong = next(iter(own), f"which={which}")
        raise UserError(
            f"--{wrong} is not for '{entry.name}' (its experiments: {known}): leave it out, or "
            "name another --system."
        )
    return entry.experiment(which, presets_of(entry.name), options)
