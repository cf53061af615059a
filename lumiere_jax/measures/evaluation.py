"""Evaluation of a system: its contract with reports."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lumiere_jax.inputs.dataset.segments import Segment
from lumiere_jax.measures.mouth_landmarks import Find
from lumiere_jax.shapes import Picture

BATCH = 8

Values = dict[str, np.ndarray]
Finders = Mapping[str, Find] | None
Number = float | int | None


class Chunk(NamedTuple):
    """Consecutive frames, as a system makes and measures them.

    Attributes:
      first: Index of the first frame in its split.
      pictures: Pictures by name, (n, rows, cols, 3) uint8.
      values: Measured values by name, (n, …).
    """

    first: int
    pictures: dict[str, np.ndarray]
    values: Values


class Sheet(NamedTuple):
    """A grid of pictures: a column for each moment, and a row for each name in `rows`.

    Attributes:
      title: Heading.
      text: Explanation below the heading.
      rows: Row labels, by the name of the picture.
    """

    title: str
    text: str
    rows: Mapping[str, str]


class Table(NamedTuple):
    """A paper's table, shown beside a stage's own numbers.

    Attributes:
      title: Heading.
      text: Explanation below the heading.
      stage: Stage whose numbers are compared.
      columns: Column titles, by measure.
      rows: The paper's rows: a name, then one text for each column.
    """

    title: str
    text: str
    stage: str
    columns: Mapping[str, str]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A system's measures, and the texts of its report.

    Attributes:
      follow: `follow(model, dataset, split, finders)` returns a function that runs a segment
        through the system and yields its `Chunk`s. Values are named by stage and measure
        ("video.psnr"); names such as "aperture.video" are signals.
      speak_shuffled: `speak_shuffled(model, dataset, split)` returns a function that yields a
        segment's frames, synthesised from its sound in shuffled order.
      stages: Each stage's title and text; "video" stands for the whole chain.
      judged: Stages that make frames.
      sheets: Picture grids to inspect.
      synthetic: Names of pictures that are marked as synthetic.
      measures: Name, range and meaning of each number that only this system has, by stage.
      goals: Least and most value expected of each measure of "video", for a drawn speaker.
      table: The paper's numbers, if any.
      report_files: Flags of optional files for further measures.
      summarise: Computes further numbers, by stage, from the values of all segments.
    """

    follow: Callable[[Any, Any, str, Finders], Callable[[Segment], Iterator[Chunk]]]
    speak_shuffled: Callable[[Any, Any, str], Callable[[Segment], Iterator[Picture]]]
    stages: Mapping[str, tuple[str, str]]
    judged: tuple[str, ...]
    sheets: tuple[Sheet, ...]
    synthetic: frozenset[str]
    measures: Mapping[str, Mapping[str, tuple[str, str, str]]]
    goals: Mapping[str, tuple[float | None, float | None]]
    table: Table | None = None
    report_files: tuple[str, ...] = ()
    summarise: Callable[[list[Values]], dict[str, dict[str, Number]]] = lambda parts: {}
