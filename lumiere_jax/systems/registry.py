"""The systems, by name. A new one needs a package in this folder, and a line below."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lumiere_jax.errors import UserError
from lumiere_jax.systems import lumierenet, temporal_gan
from lumiere_jax.systems.entry import Entry

if TYPE_CHECKING:
    from lumiere_jax.systems.contract import System

ENTRIES: dict[str, Entry] = {entry.name: entry for entry in (lumierenet.ENTRY, temporal_gan.ENTRY)}


@functools.cache
def get(name: str) -> System:
    """Returns the system of a name in `ENTRIES`; the first call imports it."""
    return ENTRIES[name].load()


def default() -> System:
    """The system that commands take where none is named: the first in `ENTRIES`."""
    return get(next(iter(ENTRIES)))


def of(config: Any) -> System:
    """Returns the system of a config; raises UserError for a config of no system."""
    for system in map(get, ENTRIES):
        if type(config) is type(system.config()):
            return system
    raise UserError(
        "--config: its get_config() gives no config of a system; write it as those in configs do "
        f"({', '.join(ENTRIES)})."
    )
