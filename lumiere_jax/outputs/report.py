"""Numbers, pictures and curves of an evaluation to `metrics.json` and a page, `index.html`.

The page stands alone: everything it shows lies beside it or in it, and it opens from a file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

from lumiere_jax.outputs.plots import line_plot

METRICS, PAGE = "metrics.json", "index.html"
SYNTHESISED, REAL = "synthesised.mp4", "real.mp4"
PICTURES = "pictures"
TRACK_SECONDS = 20
Metrics = Mapping[str, Mapping[str, Any]]

STAGES = {
    "vae": ("VAE", "pose figures through their codes and back, against the figures"),
    "blstm": ("BLSTM", "codes heard in the audio, against the codes of the true figures"),
    "seqpix2pix": ("SeqPix2Pix", "frames drawn from the true figures, against the real frames"),
    "video": ("The whole chain", "frames from the audio alone, against the real frames"),
}
_PICTURE = {
    "mse": ("MSE", "0 best, at most 65025", "Mean squared difference of the 8-bit values."),
    "psnr": ("PSNR, dB", "higher is better", "Mean of each picture's signal-to-noise ratio."),
    "ssim": ("SSIM", "at most 1, the best", "How alike 11-pixel neighbourhoods are in structure."),
}
# Name, range and meaning of each number, by stage; "*" holds for every stage.
MEASURES: dict[str, dict[str, tuple[str, str, str]]] = {
    "*": _PICTURE,
    "blstm": {
        "mse": ("MSE", "0 best", "Mean squared difference of the codes' numbers."),
        "share_of_variance": (
            "MSE over variance",
            "0 best; 1: a guess",
            "What of the codes' variance is missed; 1 is what their mean alone would score.",
        ),
    },
    "seqpix2pix": {
        "mean_frame_psnr": (
            "PSNR of the mean frame, dB",
            "to be beaten",
            "The same for one still picture, the mean of the training frames.",
        ),
    },
    "video": {
        "mouth_correlation": (
            "Mouth correlation",
            "−1 to 1, the best",
            "The mouth's opening seen in the synthesised frames, against the true one.",
        ),
        "mouth_lag_frames": (
            "Mouth lag, frames",
            "0 best",
            "The shift at which that correlation peaks; above 0, the picture is late.",
        ),
        "gesture_ratio": (
            "Gesture ratio",
            "1: as lively; 0: frozen",
            "Variance of the wrists' speed over that of the real frames, by one detector.",
        ),
        "mouth_correlation_real_frames": (
            "Check: real frames",
            "−1 to 1, the best",
            "The mouth's detector on the real frames: what the measure can reach.",
        ),
        "mouth_correlation_shuffled_audio": (
            "Check: shuffled audio",
            "about 0",
            "A video from the same audio in another order: the measure does not flatter.",
        ),
    },
}
# What the drawn lecturer is held to.
GOALS = {
    "mouth_correlation": (0.8, None),
    "mouth_lag_frames": (-1, 1),
    "gesture_ratio": (0.5, None),
    "mouth_correlation_real_frames": (0.95, None),
    "mouth_correlation_shuffled_audio": (None, 0.2),
}
# Table 1, Kim and Ganapathi 2019: MSE, PSNR, SSIM on test sets 1 and 2.
PAPER = (
    ("SeqPix2Pix", (78.97, 29.25, 0.88), (77.39, 29.35, 0.88)),
    ("Baseline 1: adversarial only", (114.78, 27.64, 0.91), (116.51, 27.61, 0.91)),
    ("Baseline 2: and perceptual", (80.68, 29.16, 0.93), (77.06, 29.37, 0.93)),
)
SHEETS = (
    (
        "Frames",
        "From the true figure SeqPix2Pix is alone responsible; from the audio, all three stages.",
        {
            "figure": "pose figure",
            "rendered": "synthesised from the true figure",
            "spoken": "synthesised from the audio",
            "frame": "real",
        },
    ),
    (
        "Pose figures",
        "Colour says which part of the body a pixel is of, and where on it.",
        {
            "figure": "pose figure",
            "reconstruction": "its reconstruction by the VAE",
            "spoken_figure": "from the audio",
        },
    ),
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Pictures, by name, of one moment: those that `SHEETS` names."""

    seconds: float
    pictures: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that is shown: `losses` are a log's lines by stage; `tracks` are signals over the
    frames from 0 on ("true", "real", "video": apertures; "left.real", …: heights of wrists)."""

    title: str
    metrics: Metrics
    pictures: list[Sample]
    losses: Mapping[str, list[dict[str, Any]]]
    tracks: Mapping[str, np.ndarray]
    fps: float
    facts: Mapping[str, str]
    config: str


def write_report(folder: Path, report: Report) -> None:
    """Writes metrics.json, the pictures and index.html beside the videos in `folder`."""
    (folder / METRICS).write_text(json.dumps(report.metrics, indent=1, allow_nan=False) + "\n")
    template = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).from_string(Path(__file__).with_name("report.html").read_text())
    page = template.render(
        report=report,
        stages=[
            {"title": title, "text": text, "rows": _rows(stage, report.metrics[stage])}
            for stage, (title, text) in STAGES.items()
        ],
        comparison=_comparison(report.metrics["seqpix2pix"]),
        sheets=_write_pictures(folder, report.pictures),
        curves={STAGES[stage][0]: _curves(lines) for stage, lines in report.losses.items()},
        tracks=_tracks(report),
        videos=[
            (SYNTHESISED, "synthesised from the audio") if (folder / SYNTHESISED).exists() else (),
            (REAL, "real") if (folder / REAL).exists() else (),
        ],
    )
    (folder / PAGE).write_text(page)


def text_table(metrics: Metrics) -> str:
    """The metrics as lines of stage, measure and value."""
    lines = [
        (stage, name, _number(name, value))
        for stage, values in metrics.items()
        for name, value in values.items()
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    return "\n".join(
        f"{stage:{widths[0]}}  {name:{widths[1]}}  {value:>{widths[2]}}"
        for stage, name, value in lines
    )


def _number(name: str, value: float | int | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value)
    digits = 2 if "psnr" in name or (name == "mse" and value >= 10) else 3
    return f"{value:.{digits}f}" if value >= 0.01 or value <= 0 else f"{value:.2g}"


def _rows(stage: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, value in values.items():
        described = MEASURES.get(stage, {}).get(name) or MEASURES["*"][name]
        low, high = GOALS.get(name, (None, None))
        goal = ""
        if low is not None and high is not None:
            goal = f"{low} to {high}".replace("-", "−")
        elif low is not None or high is not None:
            goal = f"at least {low}" if high is None else f"at most {high}"
        met = (
            value is not None and (low is None or value >= low) and (high is None or value <= high)
        )
        rows.append(
            {
                "name": described[0],
                "value": _number(name, value).replace("-", "−"),
                "range": described[1],
                "meaning": described[2],
                "goal": goal,
                "met": met,
            }
        )
    return rows


def _comparison(ours: Mapping[str, float]) -> list[tuple[str, list[str]]]:
    """Rows of the paper's Table 1, ours on top."""
    rows = [("This run", [f"{ours['mse']:.2f}", f"{ours['psnr']:.2f}", f"{ours['ssim']:.2f}"])]
    for name, *sets in PAPER:
        texts = [[f"{value:.2f}" for value in numbers] for numbers in sets]
        rows.append((f"{name} (paper)", [" / ".join(pair) for pair in zip(*texts, strict=True)]))
    return rows


def _write_pictures(folder: Path, samples: list[Sample]) -> list[dict[str, Any]]:
    """The sheets, each picture a file of its own."""
    (folder / PICTURES).mkdir(exist_ok=True)
    for i, sample in enumerate(samples):
        for name, picture in sample.pictures.items():
            cv2.imwrite(str(folder / _picture(i, name)), picture[..., ::-1])
    times = [f"{int(s.seconds // 60)}:{s.seconds % 60:04.1f}" for s in samples]
    return [
        {
            "title": title,
            "text": text,
            "times": times,
            "rows": [
                (label, [_picture(i, name) for i in range(len(samples))])
                for name, label in names.items()
            ],
        }
        for title, text, names in SHEETS
    ]


def _picture(index: int, name: str) -> str:
    return f"{PICTURES}/{index}-{name}.png"


def _curves(lines: list[dict[str, Any]]) -> dict[str, str]:
    """A plot for each quantity of a log, training and held-out values together."""
    names = dict.fromkeys(key.removeprefix("val_") for line in lines for key in line)
    plots = {}
    for name in names:
        if name == "step":
            continue
        series = {}
        for label, key in (("training", name), ("held out", f"val_{name}")):
            points = [(line["step"], line[key]) for line in lines if key in line]
            if points:
                steps, values = zip(*points, strict=True)
                series[label] = (steps, values)
        title = name.replace("_", " ")
        plots[title] = line_plot(series, name=f"{title} by step", xlabel="step")
    return plots


def _tracks(report: Report) -> dict[str, str]:
    """Mouth and wrists over the first seconds, each wrist in a plot of its own."""
    tracks = report.tracks
    if not tracks:
        return {}
    count = min(len(tracks["true"]), int(TRACK_SECONDS * report.fps))
    seconds = (np.arange(count) / report.fps).tolist()

    def plot(name: str, ylabel: str, **signals: np.ndarray) -> str:
        series = {label: (seconds, y[:count].tolist()) for label, y in signals.items()}
        return line_plot(
            series, name=name, xlabel="seconds", ylabel=ylabel, log=False, inches=(9.0, 2.0)
        )

    true = tracks["true"]
    plots = {
        "Opening of the mouth, measured in the frames and scaled to the true one's size": plot(
            "opening of the mouth over time",
            "share of the height",
            true=true,
            synthesised=_scaled(tracks["video"], true),
            real=_scaled(tracks["real"], true),
        )
    }
    for side in ("left", "right"):
        plots[f"Height of the {side} wrist, measured in the frames"] = plot(
            f"height of the {side} wrist over time",
            "share of the height",
            real=tracks[f"{side}.real"],
            synthesised=tracks[f"{side}.video"],
        )
    return plots


def _scaled(signal: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A signal with the mean and the spread of another: correlation looks at neither."""
    return (signal - signal.mean()) / max(signal.std(), 1e-9) * like.std() + like.mean()
