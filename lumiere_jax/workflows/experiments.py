"""The paper's experiments (section 4.5), with the preset `lecture` beside them, each made once.

Every trial is a workdir of its own that infer.py and evaluate.py take too; stages that trials have
in common are trained once and linked. A trial that was stopped goes on, and one that has its
report is not touched again.
"""

import copy
import csv
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

import lumiere_jax
from lumiere_jax import losses, vgg
from lumiere_jax.codes.recurrent import BLSTM
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.lectures import DESCRIPTION, Dataset, open_dataset
from lumiere_jax.outputs import experiments as page
from lumiere_jax.outputs import report
from lumiere_jax.parts import part_mask
from lumiere_jax.systems.lumierenet import Config, load_vgg, stages
from lumiere_jax.training import checkpoint, loop
from lumiere_jax.workflows import evaluate
from lumiere_jax.workflows.train import codes, heard_rows, train
from lumiere_jax.workflows.workdir import FILE, checked, read_run

WINDOWS = (1, 5, 10, 15, 20, 30)
STAGES = ("vae", "blstm", "seqpix2pix")
POOLS = ("pool1", "pool2", "pool3")
TIMES = "times.json"


# Rows of the ablation: what `lecture` is without, and the fields that take it away.
WITHOUT: dict[str, tuple[str, dict[str, Any]]] = {
    "reconstructions": ("without reconstructions", {"reconstructed": 0.0}),
    "parts": (
        "without the weights of parts",
        dict.fromkeys(("mouth", "eyes", "hands", "face"), 1.0),
    ),
    "average": ("without the average of G", {"average": 0.0}),
    "quiet-adversary": ("with an adversarial weight of 1", {"adversarial": 1.0}),
    "temporal": ("without the temporal terms", {"lambda1": 0.0, "lambda2": 0.0}),
    "structural": ("without the structural term", {"lambda0": 0.0}),
    "pixel": ("without the pixel term", {"pixel": 0.0}),
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A workdir to be made: the stages it trains itself, and the trial whose others it links."""

    name: str
    title: str
    config: Config
    trains: tuple[str, ...] = STAGES
    links: str = ""


def changed(config: Config, **values: Any) -> Config:
    """A copy with fields set by their dotted names, dots as `__`."""
    config = copy.deepcopy(config)
    for name, value in values.items():
        *path, field = name.split("__")
        part: Any = config
        for step in path:
            part = getattr(part, step)
        if not hasattr(part, field):
            raise AttributeError(f"a config has no field {name}")
        setattr(part, field, value)
    return config


def paper_trials(paper: Config, lecture: Config) -> list[Trial]:
    """The full model, Figure 4(a)'s windows, Table 1's baselines, and `lecture`."""
    trials = [Trial(name="seqpix2pix", title="SeqPix2Pix", config=paper)]
    for window in WINDOWS:
        if window != paper.blstm.window:
            config = changed(paper, blstm__window=window)
            name, title = f"window-{window}", f"look-back window {window}"
            trials.append(
                Trial(name=name, title=title, config=config, trains=("blstm",), links="seqpix2pix")
            )
    baselines: tuple[tuple[str, str, dict[str, Any]], ...] = (
        # Nothing else ties its frames to the figures: D has to see both (see the README).
        ("baseline-1", "Baseline 1", {"lambda0": 0.0, "conditional_discriminator": True}),
        ("baseline-2", "Baseline 2", {}),
    )
    for name, title, values in baselines:
        values = {"lambda1": 0.0, "lambda2": 0.0, **values}
        config = changed(paper, **{f"seqpix2pix__{key}": value for key, value in values.items()})
        trials.append(
            Trial(name=name, title=title, config=config, trains=("seqpix2pix",), links="seqpix2pix")
        )
    return [*trials, Trial(name="lecture", title="lecture", config=lecture)]


def ablation_trials(lecture: Config) -> list[Trial]:
    """`lecture`, and `lecture` without each of what it adds to the paper's SeqPix2Pix."""
    trials = [Trial(name="lecture", title="lecture", config=lecture)]
    for name, (title, values) in WITHOUT.items():
        config = changed(lecture, **{f"seqpix2pix__{key}": value for key, value in values.items()})
        trials.append(
            Trial(
                name=f"without-{name}",
                title=title,
                config=config,
                trains=("seqpix2pix",),
                links="lecture",
            )
        )
    return trials


def run(trials: list[Trial], dataset: Dataset, out: Path) -> None:
    """Trains and measures what is not done yet.

    Raises:
      UserError: a trial in `out` was made with other settings; and all that training raises.
    """
    folder = out / "runs"
    for trial in trials:
        _check_same(folder / trial.name, trial)
    todo = [trial for trial in trials if not _is_done(folder / trial.name, trial)]
    for number, trial in enumerate(todo, 1):
        workdir = folder / trial.name
        tqdm.write(f"\n{trial.title} ({number} of {len(todo)}): {workdir}")
        _link(folder, trial)
        for stage in trial.trains:
            _train(trial.config, dataset, workdir, stage)
        if "seqpix2pix" in trial.trains:
            evaluate.evaluate(
                workdir=workdir, data=dataset.folder, split="test", out=workdir / "report"
            )
        else:
            values = window_losses(trial.config, dataset, workdir)
            _write(workdir / "losses.json", values)


def _check_same(workdir: Path, trial: Trial) -> None:
    if (workdir / FILE).exists() and asdict(read_run(workdir).config) != asdict(trial.config):
        raise UserError(
            f"{workdir} was trained with other settings than these: name another --out, or give "
            "the settings that it was made with."
        )


def _is_done(workdir: Path, trial: Trial) -> bool:
    last = f"report/{report.METRICS}" if "seqpix2pix" in trial.trains else "losses.json"
    return (workdir / last).exists()


def _link(folder: Path, trial: Trial) -> None:
    """The stages that a trial does not train, as links into the one that has them."""
    (folder / trial.name).mkdir(parents=True, exist_ok=True)
    for stage in STAGES:
        place = folder / trial.name / stage
        if stage not in trial.trains and not place.exists():
            place.symlink_to(Path("..") / trial.links / stage)


def _train(config: Config, dataset: Dataset, workdir: Path, stage: str) -> None:
    """Trains a stage; notes how long it took where that was one run from first to last."""
    fresh = checkpoint.latest_step(workdir / stage) is None
    start = time.monotonic()
    train(config=config, data=dataset.folder, workdir=workdir, stage=stage)
    path = workdir / TIMES
    times = json.loads(path.read_text()) if path.exists() else {}
    if fresh:
        _write(path, {**times, stage: round(time.monotonic() - start)})


def _write(path: Path, values: Any) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n")
    partial.rename(path)


def window_losses(config: Config, dataset: Dataset, workdir: Path) -> dict[str, float]:
    """Mean squared errors of a trained BLSTM over all frames: those it was trained on, and those
    held out (val and test), with the variance of each one's codes about the training mean."""
    every = stages(config, dataset.size)
    vae = checkpoint.restore_frozen(workdir, every["vae"], "vae")["vae"]
    blstm = checkpoint.restore_frozen(workdir, every["blstm"], "blstm")["blstm"]
    model = BLSTM(config.blstm.cells, config.vae.code)
    error = jax.jit(lambda a, z: losses.mse(model.apply(blstm, a), z))
    found: dict[str, list[np.ndarray]] = {"train": [], "held_out": []}
    spread: dict[str, list[np.ndarray]] = {"train": [], "held_out": []}
    mean = None
    for split in ("train", "val", "test"):
        rows, steps = dataset.features(split), heard_rows(config, dataset, split)
        z = codes(config, dataset, split, vae)
        mean = z.mean(0) if mean is None else mean
        part = "train" if split == "train" else "held_out"
        for first in range(0, len(z), 64):
            chosen = np.minimum(np.arange(first, first + 64), len(z) - 1)
            values = np.asarray(error(rows[steps[chosen]], z[chosen]))
            found[part].append(values[: len(z) - first])
        spread[part].append(((z - mean) ** 2).mean(1))
    return {
        **{name: float(np.concatenate(values).mean()) for name, values in found.items()},
        **{f"{name}_variance": float(np.concatenate(v).mean()) for name, v in spread.items()},
    }


def compare(
    trials: list[Trial], dataset: Dataset, out: Path, title: str, facts: dict[str, str]
) -> None:
    """Writes the page and the numbers of trials that were all run."""
    folder = out / "runs"
    measured = [trial for trial in trials if "seqpix2pix" in trial.trains]
    windows = [
        {"window": trial.config.blstm.window, **_window_losses(trial, dataset, folder)}
        for trial in trials
        if trial.name.startswith("window-") or trial is trials[0]
    ]
    windows.sort(key=lambda row: row["window"])
    figure_4 = len(windows) > 1
    log = evaluate.log_lines(folder / trials[0].name / "blstm") if figure_4 else []
    page.write_page(
        out,
        page.Comparison(
            title=title,
            made=[_made(trial, folder) for trial in measured],
            facts=facts,
            samples=len(evaluate.sampled(dataset.frames("test"))),
            boxes=_boxes(dataset),
            windows=windows if figure_4 else [],
            log=log,
        ),
    )


def _window_losses(trial: Trial, dataset: Dataset, folder: Path) -> dict[str, float]:
    path = folder / trial.name / "losses.json"
    if not path.exists():
        _write(path, window_losses(trial.config, dataset, folder / trial.name))
    return json.loads(path.read_text())


def _made(trial: Trial, folder: Path) -> page.Made:
    workdir = folder / trial.name
    metrics = json.loads((workdir / "report" / report.METRICS).read_text())
    with (workdir / "report" / evaluate.FRAMES).open() as handle:
        rows = list(csv.DictReader(handle))
    halves = []
    for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        halves.append(
            {
                name: float(np.mean([float(row[f"seqpix2pix.{name}"]) for row in half]))
                for name in ("mse", "psnr", "ssim")
            }
        )
    times = json.loads((workdir / TIMES).read_text()) if (workdir / TIMES).exists() else {}
    s = trial.config.seqpix2pix
    layers = "no VGG-19" if trial.config.vgg == "none" else ", ".join(trial.config.vgg_layers)
    took = f", {times['seqpix2pix'] / 60:.0f} min" if "seqpix2pix" in times else ""
    return page.Made(
        name=trial.name,
        title=trial.title,
        metrics=metrics,
        halves=tuple(halves),
        budget=f"{s.steps * s.batch:,} triplets, width {s.width}, {layers}{took}",
        seconds=times,
    )


def _boxes(dataset: Dataset) -> dict[str, list[tuple[int, int, int] | None]]:
    """Squares around the face and the hands in the report's samples, in pixels."""
    records, size = dataset.records("test"), dataset.size
    boxes: dict[str, list[tuple[int, int, int] | None]] = {"face": [], "hands": []}
    for index in evaluate.sampled(dataset.frames("test")):
        keypoints = records[index]["keypoints"]
        for part in boxes:
            mask = np.asarray(part_mask(keypoints[None], size, part))[0, :, :, 0]
            rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if not len(rows):
                boxes[part].append(None)
                continue
            side = min(size, int(max(np.ptp(rows), np.ptp(cols))) + 1)
            x, y = (
                min(max(0, int(c[0] + c[-1] + 1 - side) // 2), size - side) for c in (cols, rows)
            )
            boxes[part].append((x, y, side))
    return {part: found for part, found in boxes.items() if any(found)}


def experiment(
    *,
    paper: Config,
    lecture: Config,
    data: Path,
    out: Path,
    which: str = "paper",
    layers: tuple[str, ...] = (),
) -> None:
    """Trains, measures and compares the trials of the paper or of the ablation.

    `layers` are VGG-19's; without, the paper's, or what stands in for them where the weights end
    before (see `stand_in`).

    Raises:
      UserError: anything about the configs, the weights, the data or the output folder.
    """
    dataset = open_dataset(data)
    if dataset.frames("test") < 2:
        raise UserError(f"{data} has no two test frames to compare: prepare longer footage.")
    if (out / DESCRIPTION).exists():
        raise UserError(f"--out={out} is a dataset's folder: name another one.")
    for config in (paper, lecture):
        if config.vgg != "none":
            config.vgg_layers = layers or stand_in(config)
        checked(config)
    trials = paper_trials(paper, lecture) if which == "paper" else ablation_trials(lecture)
    with loop.lock(out):
        run(trials, dataset, out)
        s = paper.seqpix2pix
        facts = {
            "Budget": f"{s.steps * s.batch:,} triplets of one in {s.stride} frames a SeqPix2Pix, "
            f"width {s.width}, {dataset.size} px; VAE {paper.vae.steps:,} steps of "
            f"{paper.vae.batch}, BLSTM {paper.blstm.steps:,} of {paper.blstm.batch}.",
            "Data": f"{dataset.frames('train'):,} frames to train on, {dataset.frames('test'):,} "
            f"to test, {float(dataset.fps):g} a second; {dataset.figure} figures",
            "Test sets": "Sets 1 and 2 are the halves of the test split.",
            "VGG-19": f"{', '.join(paper.vgg_layers)}"
            + (" in place of the paper's pools" if paper.vgg_layers != POOLS else ""),
            "Made by": f"lumiere_jax {lumiere_jax.__version__}",
        }
        title = "The paper's experiments" if which == "paper" else "What lecture adds"
        compare(trials, dataset, out, title, facts)


def stand_in(config: Config) -> tuple[str, ...]:
    """The paper's pools, or relu1_1, relu2_1 and relu3_1 where the weights end before pool3."""
    allowed = vgg.allowed_layers(load_vgg(changed(config, vgg_layers=())))
    return POOLS if POOLS[-1] in allowed else ("relu1_1", "relu2_1", "relu3_1")
