"""What an experiment is: trials that are trained and measured side by side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lumiere_jax.inputs.dataset.lectures import Dataset

Measure = Callable[[Any, Dataset, Path], Mapping[str, Any]]
"""`measure(config, dataset, workdir)` returns a trained workdir's values by name."""
TIMES = "times.json"
"""File in a trial's workdir: seconds that each stage's training took, by stage."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A workdir to train and measure.

    Attributes:
      name: Name of the workdir's folder.
      title: Name shown on the page.
      config: Config of all stages.
      trains: Stages that the trial trains itself.
      links: Trial whose other stages it links to; empty where it needs no other stage.
      data: Its dataset, where it differs from the other trials'.
      evaluated: Whether its frames are evaluated, as by evaluate.py.
      measures: Further measures, by the file in the workdir that their values go to.
    """

    name: str
    title: str
    config: Any
    trains: tuple[str, ...]
    links: str = ""
    data: Dataset | None = None
    evaluated: bool = True
    measures: Mapping[str, Measure] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Trials and the page that compares them.

    Attributes:
      name: Its name; where results.json says "which", a folder takes no other's results.
      system: Name of the system whose trials it has.
      trials: Makes the trials for a dataset.
      write_page: `write_page(trials, dataset, out)` writes index.html and results.json into `out`,
        whose `runs/` has the trials' workdirs.
    """

    name: str
    system: str
    trials: Callable[[Dataset], list[Trial]]
    write_page: Callable[[list[Trial], Dataset, Path], None]
