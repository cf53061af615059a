"""The systems, by name. A new one has a package here, and a line below."""

from typing import Any

from lumiere_jax.errors import UserError
from lumiere_jax.systems import lumierenet, temporal_gan
from lumiere_jax.systems.system import System

SYSTEMS = {system.name: system for system in (lumierenet.SYSTEM, temporal_gan.SYSTEM)}


def of(config: Any) -> System:
    """The system that a config is for; UserError where it is none's."""
    for system in SYSTEMS.values():
        if type(config) is type(system.config()):
            return system
    raise UserError(
        "--config: its get_config() gives no config of a system; write it as those in configs do "
        f"({', '.join(SYSTEMS)})."
    )
