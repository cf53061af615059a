"""What scripts know of a system before they import its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lumiere_jax.systems.contract import System
    from lumiere_jax.systems.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A flag that a system adds to a script.

    Attributes:
      name: Its name, without dashes.
      help: Its line in --help.
      kind: Type of its value; "list" is split at commas.
      default: Its value where it is not given.
      choices: Its only values; empty where any goes.
    """

    name: str
    help: str
    kind: Literal["string", "path", "bool", "integer", "float", "list"] = "string"
    default: str | bool | int | float | None = None
    choices: tuple[str, ...] = ()


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
class Repeats:
    """An experiment that trains presets with several seeds each.

    Attributes:
      presets: Names of the presets.
      steps: Steps of every stage.
    """

    presets: tuple[str, ...]
    steps: int


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
      experiments: Names of the experiments that it makes itself.
      experiment: `experiment(name, presets, options)` makes one of them from the module of its
        presets and the values of its flags, which all have one.
      experiment_flags: Flags that it adds to experiments.py.
      repeats: Experiments that repeat presets, by name.
    """

    name: str
    learns: str
    presets: Mapping[str, str]
    stages: tuple[str, ...]
    load: Callable[[], System]
    demo: Demo = Demo()
    flags: tuple[Flag, ...] = ()
    experiments: tuple[str, ...] = ()
    experiment: Callable[[str, Any, Mapping[str, Any]], Experiment] | None = None
    experiment_flags: tuple[Flag, ...] = ()
    repeats: Mapping[str, Repeats] = field(default_factory=dict)

    @property
    def comparisons(self) -> tuple[str, ...]:
        """Names of all of its experiments, the default first."""
        return (*self.experiments, *self.repeats)

    @property
    def config(self) -> str:
        """The file of its presets."""
        return f"configs/{self.name}.py"
