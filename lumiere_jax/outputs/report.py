"""The report of an evaluation: `metrics.json`, and a page, `index.html`.

The page opens from a file and needs only the files beside it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from lumiere_jax.inputs.media.picture_bytes import encode_png
from lumiere_jax.measures.evaluation import Evaluation, Table
from lumiere_jax.outputs.mark import marked
from lumiere_jax.outputs.measures_table import describe
from lumiere_jax.outputs.plots import line_plot

METRICS, RESULTS, PAGE = "metrics.json", "results.json", "index.html"
SYNTHESISED, REAL = "synthesised.mp4", "real.mp4"
PICTURES = "pictures"
TRACK_SECONDS = 20
Metrics = Mapping[str, Mapping[str, Any]]
Goals = Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One moment's pictures, by the names that the sheets use, and its time in seconds."""

    seconds: float
    pictures: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The content of the page.

    Attributes:
      title: Heading.
      evaluation: The system's measures and texts.
      metrics: Numbers by stage and measure.
      pictures: Sampled moments.
      losses: Lines of the training log, by stage.
      tracks: Signals over the frames from 0 on: apertures ("true", "real", "video") and heights of
        wrists ("left.real", …). Any may be missing.
      fps: Frames per second.
      facts: Texts by title.
      config: The run's config, as text.
      drawn: Whether the lecturer is drawn, which adds the evaluation's goals.
    """

    title: str
    evaluation: Evaluation
    metrics: Metrics
    pictures: list[Sample]
    losses: Mapping[str, list[dict[str, Any]]]
    tracks: Mapping[str, np.ndarray]
    fps: float
    facts: Mapping[str, str]
    config: str
    drawn: bool = False


def write_report(folder: Path, report: Report) -> None:
    """Writes metrics.json, the pictures and index.html beside the videos in `folder`."""
    (folder / METRICS).write_text(json.dumps(report.metrics, indent=1, allow_nan=False) + "\n")
    evaluation = report.evaluation
    stages = evaluation.stages
    page = (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            stages=[
                {
                    "title": title,
                    "text": text,
                    "rows": _rows(
                        evaluation,
                        stage,
                        report.metrics[stage],
                        evaluation.goals if report.drawn and stage == "video" else {},
                    ),
                }
                for stage, (title, text) in stages.items()
            ],
            table=evaluation.table,
            comparison=evaluation.table and _comparison(evaluation.table, report.metrics),
            sheets=_write_pictures(folder, evaluation, report.pictures),
            curves={
                stages[name][0] if name in stages else name.capitalize(): _curves(lines)
                for name, lines in report.losses.items()
            },
            tracks=_tracks(report),
            videos=[
                (SYNTHESISED, "synthesised from the audio")
                if (folder / SYNTHESISED).exists()
                else (),
                (REAL, "real") if (folder / REAL).exists() else (),
            ],
        )
    )
    (folder / PAGE).write_text(page)


def environment(*folders: Path) -> jinja2.Environment:
    """Returns the Jinja environment of the templates beside this module and in other folders.

    It escapes values.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent, *folders]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def text_table(metrics: Metrics) -> str:
    """Formats the metrics as lines of stage, measure and value."""
    lines = [
        (stage, name, number(name, value))
        for stage, values in metrics.items()
        for name, value in values.items()
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    return "\n".join(
        f"{stage:{widths[0]}}  {name:{widths[1]}}  {value:>{widths[2]}}"
        for stage, name, value in lines
    )


def number(name: str, value: float | int | None) -> str:
    """Formats a value: PSNR with two digits, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value)
    digits = 2 if "psnr" in name or (name == "mse" and value >= 10) else 3
    return f"{value:.{digits}f}" if value >= 0.01 or value <= 0 else f"{value:.2g}"


def _rows(
    evaluation: Evaluation, stage: str, values: Mapping[str, Any], goals: Goals
) -> list[dict[str, Any]]:
    rows = []
    for name, value in values.items():
        title, span, meaning = describe(evaluation, stage, name)
        low, high = goals.get(name, (None, None))
        goal = ""
        if low is not None and high is not None:
            goal = f"{low} to {high}".replace("-", "−")
        elif low is not None or high is not None:
            goal = f"at least {low}" if high is None else f"at most {high}"
        met = (
            value is not None and (low is None or value >= low) and (high is None or value <= high)
        )
        shown = number(name, value).replace("-", "−")
        rows.append(
            {
                "name": title,
                "value": shown,
                "range": span,
                "meaning": meaning,
                "goal": goal,
                "met": met,
            }
        )
    return rows


def _comparison(table: Table, metrics: Metrics) -> list[tuple[str, list[str]]]:
    """Returns this run's row, then the rows of the paper's table."""
    ours = metrics[table.stage]
    rows = [("This run", [number(name, ours[name]) for name in table.columns])]
    return rows + [(f"{name} (paper)", list(texts)) for name, *texts in table.rows]


def _write_pictures(
    folder: Path, evaluation: Evaluation, samples: list[Sample]
) -> list[dict[str, Any]]:
    """Writes each sample's pictures as PNG files and returns the sheets for the template."""
    (folder / PICTURES).mkdir(exist_ok=True)
    for i, sample in enumerate(samples):
        for name, pixels in sample.pictures.items():
            if name in evaluation.synthetic:
                pixels = next(marked([pixels]))
            (folder / picture(i, name)).write_bytes(encode_png(pixels))
    times = [f"{int(s.seconds // 60)}:{s.seconds % 60:04.1f}" for s in samples]
    return [
        {
            "title": title,
            "text": text,
            "times": times,
            "rows": [
                (label, [picture(i, name) for i in range(len(samples))])
                for name, label in names.items()
            ],
        }
        for title, text, names in evaluation.sheets
    ]


def picture(index: int, name: str) -> str:
    """Returns the path of a sample's picture, relative to the report."""
    return f"{PICTURES}/{index}-{name}.png"


def _curves(lines: list[dict[str, Any]]) -> dict[str, str]:
    """Plots each quantity of a log."""
    names = dict.fromkeys(key.removeprefix("val_") for line in lines for key in line)
    return {name.replace("_", " "): curve(lines, name) for name in names if name != "step"}


def curve(lines: list[dict[str, Any]], name: str) -> str:
    """Plots a quantity of a log by step, with training and held-out values."""
    series = {}
    for label, key in (("training", name), ("held out", f"val_{name}")):
        points = [(line["step"], line[key]) for line in lines if key in line]
        if points:
            steps, values = zip(*points, strict=True)
            series[label] = (steps, values)
    return line_plot(series, name=f"{name.replace('_', ' ')} by step", xlabel="step")


def _tracks(report: Report) -> dict[str, str]:
    """Plots the mouth and each wrist over the first seconds."""
    tracks = report.tracks
    if not tracks:
        return {}
    count = min(len(tracks["real"]), int(TRACK_SECONDS * report.fps))
    seconds = (np.arange(count) / report.fps).tolist()

    def plot(name: str, ylabel: str, signals: Mapping[str, np.ndarray]) -> str:
        series = {label: (seconds, y[:count].tolist()) for label, y in signals.items()}
        return line_plot(
            series, name=name, xlabel="seconds", ylabel=ylabel, log=False, inches=(9.0, 2.0)
        )

    truth = "true" if "true" in tracks else "real"
    mouths = {"true": "true", "synthesised": "video", "real": "real"}
    plots = {
        f"Opening of the mouth, measured in the frames and scaled to the {truth} one's size": plot(
            "opening of the mouth over time",
            "share of the height",
            {
                label: _scaled(tracks[name], tracks[truth])
                for label, name in mouths.items()
                if name in tracks
            },
        )
    }
    for side in ("left", "right"):
        if f"{side}.real" in tracks:
            plots[f"Height of the {side} wrist, measured in the frames"] = plot(
                f"height of the {side} wrist over time",
                "share of the height",
                {"real": tracks[f"{side}.real"], "synthesised": tracks[f"{side}.video"]},
            )
    return plots


def _scaled(signal: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Rescales a signal to another's mean and deviation, which correlation ignores."""
    known, wanted = signal[np.isfinite(signal)], like[np.isfinite(like)]
    if not len(known) or not len(wanted):
        return signal
    return (signal - known.mean()) / max(known.std(), 1e-9) * wanted.std() + wanted.mean()
