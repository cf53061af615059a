"""Comparison of runs with several seeds: a page, `index.html`, and numbers, `results.json`.

The page shows pictures from the runs' own reports, in `runs/` beside it.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lumiere_jax
from lumiere_jax.files import write_whole
from lumiere_jax.measures.evaluation import Evaluation
from lumiere_jax.outputs import report
from lumiere_jax.outputs.measures_table import describe


@dataclass(frozen=True)
class Repeats:
    """The content of the page.

    Attributes:
      evaluation: The system's measures.
      metrics: Each run's metrics, by preset and then by seed; runs are in `runs/PRESET-SEED`.
      samples: Number of sampled moments in each run's report.
      facts: Texts by title.
    """

    evaluation: Evaluation
    metrics: Mapping[str, Sequence[Mapping[str, Mapping[str, Any]]]]
    samples: int
    facts: Mapping[str, str]


def write_page(out: Path, repeats: Repeats) -> None:
    """Writes results.json and index.html into `out`."""
    evaluation, metrics = repeats.evaluation, repeats.metrics
    seeds = len(next(iter(metrics.values())))
    table = {
        name: {
            stage: {
                measure: spread([one[stage].get(measure) for one in runs])
                for measure in _names(stage, metrics)
            }
            for stage in runs[0]
        }
        for name, runs in metrics.items()
    }
    facts = {**repeats.facts, "Made by": f"lumiere_jax {lumiere_jax.__version__}"}
    values = {
        "names": {name: f"runs/{name}-0/report/index.html" for name in metrics},
        "seeds": seeds,
        "groups": [
            (title, _rows(evaluation, stage, table))
            for stage, (title, _) in evaluation.stages.items()
        ],
        "pictures": _sheet(evaluation, list(metrics), repeats.samples),
        "facts": facts,
    }
    rendered = report.environment().get_template("repeats_page.html").render(values)
    results = {"facts": facts, "seeds": seeds, "table": table, "runs": dict(metrics)}
    write_whole(out / report.RESULTS, json.dumps(results, indent=1, allow_nan=False) + "\n")
    write_whole(out / report.PAGE, rendered)


def _names(stage: str, metrics: Mapping[str, Any]) -> list[str]:
    """Returns the measures of a stage that occur in any run."""
    every = (one[stage] for runs in metrics.values() for one in runs)
    return list(dict.fromkeys(measure for own in every for measure in own))


def spread(values: list[float | int | None]) -> tuple[float, float | None] | None:
    """Computes the mean and standard deviation over seeds.

    The deviation is None for a single seed, and the result None where any value is None.
    """
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None


def _rows(evaluation: Evaluation, stage: str, table: Mapping[str, Any]) -> list[Any]:
    rows = []
    for measure in next(iter(table.values()))[stage]:
        label, span, _ = describe(evaluation, stage, measure)
        rows.append((label, span, [_text(measure, own[stage][measure]) for own in table.values()]))
    return rows


def _text(measure: str, value: tuple[float, float | None] | None) -> str:
    if value is None:
        return "–"
    mean, deviation = value
    shown = report.number(measure, mean)
    if deviation is not None:
        shown += f" ± {deviation:.{len(shown.partition('.')[2])}f}"
    return shown.replace("-", "−")


def _sheet(evaluation: Evaluation, names: list[str], samples: int) -> list[tuple[str, list[str]]]:
    """Returns the first seed's picture rows: synthetic rows for each preset, real rows once."""
    rows = []
    for picture, label in evaluation.sheets[0].rows.items():
        of = names if picture in evaluation.synthetic else names[:1]
        for name in of:
            at = f"runs/{name}-0/report"
            title = f"{label}: {name}" if picture in evaluation.synthetic else label
            rows.append((title, [f"{at}/{report.picture(i, picture)}" for i in range(samples)]))
    return rows
