"""Make the pictures of the README and docs/: the demo, faces, and the paper's experiments.

python docs/make_picture.py demo [WORKDIR] [DATA] [PNG]
python docs/make_picture.py faces [WORKDIR] [DATA] [PNG]
python docs/make_picture.py experiments [OUT] [PNG]
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.systems.lumierenet.normalised_features import split_features
from lumiere_jax.systems.lumierenet.synthesis import synthesise
from lumiere_jax.systems.pictures import sheet
from lumiere_jax.systems.temporal_gan.measures import EVALUATION
from lumiere_jax.workflows.trained_model import load_model

COLUMNS, BLOCK = 7, 105


def demo(
    workdir: Path = Path("runs/demo"),
    data: Path = Path("runs/demo/data"),
    png: Path = Path("docs/demo.png"),
) -> None:
    """Figures, synthesised and real frames, a column every `BLOCK` frames of the test split, or
    every seventh of a shorter one."""
    dataset = open_dataset(data)
    model = load_model(workdir)
    block = min(BLOCK, dataset.frames("test") // COLUMNS)
    times = range(block // 2, COLUMNS * block, block)
    rows = split_features(dataset, "test")[: times[-1] + 1]
    made = list(synthesise(model.run.config, model.run.size, model.variables, [rows]))
    records = dataset.records("test")
    picture = sheet(
        [
            np.stack([made[t].figure for t in times]),
            np.stack([made[t].frame for t in times]),
            np.stack([picture_bytes.decode(records[t]["frame"]) for t in times]),
        ]
    )
    png.write_bytes(picture_bytes.encode_png(picture))


def faces(
    workdir: Path = Path("runs/demo_temporal_gan"),
    data: Path = Path("runs/demo_temporal_gan/data"),
    png: Path = Path("docs/faces.png"),
) -> None:
    """The still again and again, synthesised and real frames of the test split's first segment."""
    dataset, model = open_dataset(data), load_model(workdir)
    segment = next(s for s in dataset.segments if s.split == "test")
    records = dataset.records("test")
    times = list(range(BLOCK // 8, segment.frames, BLOCK // 4))[: 2 * COLUMNS]
    follow = EVALUATION.follow(model, dataset, "test", None)
    made: list[np.ndarray] = []
    for chunk in follow(segment):
        made.extend(chunk.pictures["spoken"])
        if len(made) > times[-1]:
            break
    real = [picture_bytes.decode(records[segment.offset + t]["frame"]) for t in times]
    still = picture_bytes.decode(records[segment.offset]["frame"])
    rows = [[still] * len(times), [made[t] for t in times], real]
    png.write_bytes(picture_bytes.encode_png(sheet([np.stack(row) for row in rows])))


def experiments(out: Path = Path("runs/paper"), png: Path = Path("docs/paper.png")) -> None:
    """Figure 4 and Figure 5 of a folder that experiments.py has filled."""
    results = json.loads((out / "results.json").read_text())
    names = ["baseline-1", "baseline-2", "seqpix2pix", "lecture"]
    rows = [("pose figure", "seqpix2pix", "figure"), *((n, n, "rendered") for n in names)]
    rows.append(("real", "seqpix2pix", "frame"))
    figure = Figure(figsize=(10, 11), layout="constrained")
    curves, frames = figure.subfigures(2, 1, height_ratios=(1, 3.6))
    by_window, by_step = curves.subplots(1, 2)
    x = [row["window"] for row in results["figure_4a"]]
    for name, label in (("train", "training"), ("held_out", "held out")):
        y = [row[name] / row[f"{name}_variance"] for row in results["figure_4a"]]
        by_window.plot(x, y, "o-", label=label)
    by_window.set(title="4 (a)  loss over variance", xlabel="look-back window, frames")
    for key, label in (("loss", "training"), ("val_loss", "held out")):
        lines = [line for line in results["figure_4b"] if key in line]
        by_step.plot([line["step"] for line in lines], [line[key] for line in lines], label=label)
    by_step.set(title="4 (b)  loss, window of 15", xlabel="step", yscale="log")
    by_window.legend(), by_step.legend()
    axes = frames.subplots(len(rows), 1)
    for axis, (label, run, name) in zip(axes, rows, strict=True):
        files = sorted((out / "runs" / run / "report" / "pictures").glob(f"*-{name}.png"))
        pictures = [cv2.imread(str(file)) for file in files]
        axis.imshow(np.concatenate(pictures, axis=1)[..., ::-1])
        axis.set(xticks=[], yticks=[], ylabel=label)
    figure.savefig(png, dpi=80)


if __name__ == "__main__":
    which, *given = sys.argv[1:] or ["demo"]
    {"demo": demo, "faces": faces, "experiments": experiments}[which](*map(Path, given))
