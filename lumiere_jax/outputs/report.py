"""Numbers, pictures and curves of an evaluation to `metrics.json` and a page, `index.html`.

The page stands alone: everything it shows lies beside it or in it, and it opens from a file.
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

METRICS, PAGE = "metrics.json", "index.html"
SYNTHESISED, REAL = "synthesised.mp4", "real.mp4"
PICTURES = "pictures"
TRACK_SECONDS = 20
Metrics = Mapping[str, Mapping[str, Any]]
Goals = Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Pictures, by name, of one moment: those that the sheets name."""

    seconds: float
    pictures: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that is shown of a system's `evaluation`: `losses` are a log's lines by stage; `tracks`
    are signals over the frames from 0 on ("true", "real", "video": apertures; "left.real", …:
    heights of wrists), any of which may be missing; a `drawn` lecturer is held to goals."""

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


def environment() -> jinja2.Environment:
    """The templates beside this module; what is put into them is text and never markup."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def text_table(metrics: Metrics) -> str:
    """The metrics as lines of stage, measure and value."""
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
    """A value as it is shown: PSNR with two digits, a dash where it is not known."""
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
    """Rows of the paper's table, ours on top."""
    ours = metrics[table.stage]
    rows = [("This run", [number(name, ours[name]) for name in table.columns])]
    return rows + [(f"{name} (paper)", list(texts)) for name, *texts in table.rows]


def _write_pictures(
    folder: Path, evaluation: Evaluation, samples: list[Sample]
) -> list[dict[str, Any]]:
    """The sheets, each picture a file of its own."""
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
    """A sample's picture, a path in the report."""
    return f"{PICTURES}/{index}-{name}.png"


def _curves(lines: list[dict[str, Any]]) -> dict[str, str]:
    """A plot for each quantity of a log."""
    names = dict.fromkeys(key.removeprefix("val_") for line in lines for key in line)
    return {name.replace("_", " "): curve(lines, name) for name in names if name != "step"}


def curve(lines: list[dict[str, Any]], name: str) -> str:
    """A quantity of a log by step, training and held-out values together."""
    series = {}
    for label, key in (("training", name), ("held out", f"val_{name}")):
        points = [(line["step"], line[key]) for line in lines if key in line]
        if points:
            steps, values = zip(*points, strict=True)
            series[label] = (steps, values)
    return line_plot(series, name=f"{name.replace('_', ' ')} by step", xlabel="step")


def _tracks(report: Report) -> dict[str, str]:
    """Mouth and wrists over the first seconds, each wrist in a plot of its own."""
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
    """A signal with the mean and the spread of another: correlation looks at neither."""
    known, wanted = signal[np.isfinite(signal)], like[np.isfinite(like)]
    if not len(known) or not len(wanted):
        return signal
    return (signal - known.mean()) / max(known.std(), 1e-9) * wanted.std() + wanted.mean()
