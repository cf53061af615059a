"""Formats of checkpoints: the names under which a state's fields were written."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from lumiere_jax.errors import UserError
from lumiere_jax.training.stage import State, TrainState

FORMAT, FORMAT_KEY = 2, "format"
# By format, the names of a network's fields that have changed since. Releases up to 0.3.0 wrote
# format 1, without its number.
RENAMED = {
    1: {"batch_stats": "statistics", "opt_state": "optimiser", "ema": "average"},
    FORMAT: {},
}
# By format, the state's fields that it lacks.
EXTRA = "extra"
ADDED = {1: {EXTRA}, FORMAT: set()}


def take_format(metadata: dict[str, Any], place: Path) -> int:
    """Removes the number of a checkpoint's format from its metadata, and returns it.

    Raises:
      UserError: A later release wrote the checkpoint.
      ValueError: There is no such format.
    """
    number = metadata.pop(FORMAT_KEY, 1)
    if isinstance(number, int) and number > FORMAT:
        raise UserError(
            f"{place} has format {number}, and this release reads formats up to {FORMAT}: update "
            "lumiere_jax, or name another --workdir."
        )
    if number not in RENAMED:
        raise ValueError(f"its format is {number!r}")
    return number


def state_as_dict(state: State) -> dict[str, Any]:
    """Converts a state to the dicts that are written."""
    fields = lambda x: {f.name: getattr(x, f.name) for f in dataclasses.fields(x)}  # noqa: E731
    return {**fields(state), "networks": {n: fields(x) for n, x in state.networks.items()}}


def state_from_dict(values: dict[str, Any]) -> State:
    """Converts what `state_as_dict` returns back to a state."""
    networks = {name: TrainState(**network) for name, network in values["networks"].items()}
    return State(**{**values, "networks": networks})


def in_format(item: dict[str, Any], number: int) -> dict[str, Any]:
    """Renames a state's dicts, or a part of them, from today's names to a format's."""
    if any(jax.tree.leaves(item.get(name)) for name in ADDED[number]):
        raise ValueError(f"format {number} holds nothing for {', '.join(sorted(ADDED[number]))}")
    return _renamed({k: x for k, x in item.items() if k not in ADDED[number]}, RENAMED[number])


def _renamed(item: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    networks = {
        name: {names.get(field, field): x for field, x in network.items()}
        for name, network in item["networks"].items()
    }
    return {**item, "networks": networks}


def from_format(item: dict[str, Any], number: int) -> dict[str, Any]:
    """Renames a state's dicts from a format's names to today's."""
    return _renamed(item, {old: new for new, old in RENAMED[number].items()})
