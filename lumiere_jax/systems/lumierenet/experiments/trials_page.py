"""Comparison of trials: a page, `index.html`, and numbers, `results.json`.

The page shows pictures and videos from the trials' own reports, in `runs/` beside it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from lumiere_jax.files import write_whole
from lumiere_jax.inputs.media.picture_bytes import decode, encode_png
from lumiere_jax.outputs import report
from lumiere_jax.outputs.measures_table import describe
from lumiere_jax.outputs.plots import line_plot
from lumiere_jax.systems.lumierenet.measures import EVALUATION, PAPER

TITLES = {"paper": "The paper's experiments", "ablation": "What lecture adds"}
Rows = list[tuple[str, list[str]]]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A measured trial.

    Attributes:
      name: Its folder in `runs/`.
      title: Name shown on the page.
      metrics: Numbers by stage and measure.
      seconds: Training time by stage.
      sets: Means over two test sets ("mse", "psnr", "ssim"); empty for a VAE alone, which has no
        report.
      budget: Training budget behind `sets`, as text.
    """

    name: str
    title: str
    metrics: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[str, int]
    sets: tuple[Mapping[str, float | None], ...] = ()
    budget: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The content of the page.

    Attributes:
      which: "paper" or "ablation".
      made: Measured trials.
      facts: Texts by title.
      samples: Number of sampled moments in each trial's report.
      boxes: By part, its square in each sample (x, y, side in pixels), or None.
      windows: Numbers of Figure 4(a).
      log: Log lines of Figure 4(b).
      window: Look-back window of Figure 4(b), in frames.
    """

    which: str
    made: list[Made]
    facts: Mapping[str, str]
    samples: int
    boxes: Mapping[str, list[tuple[int, int, int] | None]]
    windows: list[dict[str, Any]] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    window: int = 0


def write_page(out: Path, comparison: Comparison) -> None:
    """Writes results.json, close-ups and index.html into `out`, which holds `runs/`."""
    c = comparison
    first = f"runs/{c.made[0].name}/report"
    drawn = [made for made in c.made if made.sets]
    shown = [(made.title, f"runs/{made.name}/report", "rendered") for made in drawn]
    figure_5 = [("pose figure", first, "figure"), *shown, ("real", first, "frame")]
    paper = c.which == "paper"
    values = {
        "title": TITLES[c.which],
        "window": c.window,
        "facts": c.facts,
        "figure_3": [
            ("pose figure", _pictures(first, "figure", c.samples)),
            ("through the VAE", _pictures(first, "reconstruction", c.samples)),
        ]
        if paper
        else [],
        "windows": c.windows,
        "figure_4a": _figure_4a(c.windows) if paper else "",
        "figure_4b": report.curve(c.log, "loss") if paper else "",
        "figure_5": [(label, _pictures(at, name, c.samples)) for label, at, name in figure_5],
        "closer": {
            part: _closer(out, part, boxes, figure_5[1:]) for part, boxes in c.boxes.items()
        },
        "table_1": _table_1(drawn) if paper else [],
        "runs": [
            {"title": m.title, "report": f"runs/{m.name}/report/index.html" if m.sets else ""}
            for m in c.made
        ],
        "measures": _measures(c.made),
        "videos": _videos(out, drawn),
    }
    page = report.environment(Path(__file__).parent).get_template("trials_page.html").render(values)
    results = {
        "which": c.which,
        "facts": dict(c.facts),
        "figure_4a": c.windows,
        "figure_4b": c.log,
        "table_1": [
            {"name": m.name, "sets": list(m.sets), "budget": m.budget, "seconds": m.seconds}
            for m in c.made
        ],
        "measures": {m.name: m.metrics for m in c.made},
    }
    write_whole(out / report.RESULTS, json.dumps(results, indent=1, allow_nan=False) + "\n")
    write_whole(out / report.PAGE, page)


def _pictures(folder: str, name: str, count: int) -> list[str]:
    return [f"{folder}/{report.picture(i, name)}" for i in range(count)]


def _closer(
    out: Path, part: str, boxes: list[tuple[int, int, int] | None], rows: list[tuple[str, str, str]]
) -> Rows:
    """Writes enlarged crops of a part from each row's pictures, where the part is visible."""
    folder = out / report.PICTURES
    folder.mkdir(exist_ok=True)
    found: Rows = []
    for number, (label, source, name) in enumerate(rows):
        files = []
        for i, box in enumerate(boxes):
            if box is None:
                continue
            x, y, side = box
            picture = decode((out / source / report.picture(i, name)).read_bytes())
            cut = picture[y : y + side, x : x + side]
            file = f"{report.PICTURES}/{part}-{i}-{number}.png"
            large = cv2.resize(cut, (160, 160), interpolation=cv2.INTER_CUBIC)
            (out / file).write_bytes(encode_png(large))
            files.append(file)
        found.append((label, files))
    return found


def _figure_4a(windows: list[dict[str, Any]]) -> str:
    x = [row["window"] for row in windows]
    series = {
        "training": (x, [row["train"] / row["train_variance"] for row in windows]),
        "held out": (x, [row["held_out"] / row["held_out_variance"] for row in windows]),
    }
    return line_plot(series, name="loss by look-back window", xlabel="frames", log=False)


def _table_1(made: list[Made]) -> list[dict[str, Any]]:
    """Returns a row for each trial, followed by the paper's row where there is one."""
    rows = []
    for m in made:
        numbers = [part[name] for part in m.sets for name in ("mse", "psnr", "ssim")]
        rows.append({"title": m.title, "numbers": numbers, "budget": m.budget, "of_paper": False})
        for title, *sets in PAPER:
            if title.split(":")[0] == m.title:
                numbers = [value for numbers in sets for value in numbers]
                row = {"title": f"{m.title} (paper)", "numbers": numbers, "of_paper": True}
                rows.append({**row, "budget": "4 hours of one lecturer, 256 px"})
    return rows


def _measures(made: list[Made]) -> list[dict[str, Any]]:
    minutes = [report.number("minutes", _minutes(m, "seqpix2pix")) for m in made]
    groups = [
        {
            "title": "Training",
            "rows": [{"name": "SeqPix2Pix, minutes", "range": "", "numbers": minutes}],
        }
    ]
    for stage, title in (("vae", "Figures"), ("seqpix2pix", "True figures"), ("video", "Audio")):
        names = dict.fromkeys(name for m in made for name in m.metrics.get(stage, {}))
        rows = []
        for name in names:
            label, span, _ = describe(EVALUATION, stage, name)
            numbers = [report.number(name, m.metrics.get(stage, {}).get(name)) for m in made]
            rows.append({"name": label, "range": span, "numbers": numbers})
        groups.append({"title": title, "rows": rows})
    return groups


def _minutes(made: Made, stage: str) -> float | None:
    return made.seconds[stage] / 60 if stage in made.seconds else None


def _videos(out: Path, made: list[Made]) -> list[dict[str, str]]:
    found = []
    for m in made:
        file = f"runs/{m.name}/report/{report.SYNTHESISED}"
        if (out / file).exists():
            found.append({"title": m.title, "file": file})
    real = f"runs/{made[0].name}/report/{report.REAL}"
    return [*found, {"title": "real", "file": real}] if (out / real).exists() else found
