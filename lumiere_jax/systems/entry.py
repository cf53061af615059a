"""What scripts know of a system before they import its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lumiere_jax.systems.contract import System


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A flag that a system adds to infer.py."""

    name: str
    help: str
    kind: Literal["string", "path", "bool", "integer", "float"] = "string"
    default: str | bool | int | float | None = None


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What a demo adds to the four commands.

    Attributes:
      video: Name of its video.
      prepare: Flags of prepare.py.
      infer: Flags of infer.py; "{data}" stands for the dataset's folder.
    """

    video: str = "lecture.mp4"
    prepare: tuple[str, ...] = ()
    infer: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A system in the list of systems.

    Attributes:
      name: Its name.
      learns: What it learns, a few words for help texts.
      presets: What each preset of its config is for, by name.
      stages: Names of its stages, in training order.
      load: Imports it.
      demo: Its demo.
      flags: Flags that it adds to infer.py; a request holds their values as options.
    """

    name: str
    learns: str
    presets: Mapping[str, str]
    stages: tuple[str, ...]
    load: Callable[[], System]
    demo: Demo = Demo()
    flags: tuple[Flag, ...] = ()

    @property
    def config(self) -> str:
        """The file of its presets."""
        return f"configs/{self.name}.py"
