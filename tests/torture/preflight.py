"""What can fail later fails at once: how long train.py and infer.py take to refuse."""

import time
from collections.abc import Callable
from pathlib import Path

import jax
from absl import logging
from torture.footage import dataset
from torture.processes import NARRATION, PRESET, finish, start
from torture.rows import Row
from torture.tally import Tally, say
from torture.train_kills import STEPS, flags_of, presets

from lumiere_jax.errors import UserError

REFUSED = "preflight: refused within 2 s of JAX being up"
SECONDS = 2.0


def torture(folder: Path, seed: int = 0, short: bool = False) -> list[Row]:
    """Every wrong input that a preflight looks for, against a dataset and a trained workdir."""
    data, run = dataset(folder), folder / "run"
    steps = dict.fromkeys(STEPS, 2)
    if finish(trained := start(folder, "train.py", *flags_of(data, run, steps))):
        raise RuntimeError(
            f"train.py cannot even run undisturbed ({PRESET}): {trained.said[-400:]}"
        )
    logging.set_verbosity(logging.FATAL)  # as the scripts do
    jax.devices()
    tally, slowest = Tally(), 0.0
    for name, wrong in {**_trainings(folder, data), **_syntheses(folder, run)}.items():
        began, refused = time.monotonic(), None
        try:
            wrong()
        except UserError as error:
            refused = str(error)
        took = time.monotonic() - began
        slowest = max(slowest, took)
        tally.tried(REFUSED, (not refused or took > SECONDS) and f"{name}: {took:.1f} s, {refused}")
        say(f"preflight: {name}: {took:.1f} s")
    tally.note(REFUSED, f"the slowest took {slowest:.1f} s")
    return tally.rows


def _trainings(folder: Path, data: Path) -> dict[str, Callable[[], object]]:
    from lumiere_jax.workflows.train import train

    def wrong(stage: str = "all", **changes: object) -> Callable[[], object]:
        config = presets().get_config("tiny")
        given = {"data": data, "workdir": folder / "other", **changes}
        for path in [name for name in given if name not in ("data", "workdir")]:
            setattr(config, path, given.pop(path))
        return lambda: train(config=config, stage=stage, **given)

    file = folder / "file"
    file.write_text("")
    return {
        "no dataset": wrong(data=folder),
        "a workdir that is a file": wrong(workdir=file),
        "a workdir that is a dataset": wrong(workdir=data),
        "no VGG weights": wrong(vgg=str(folder / "vgg.pth")),
        "weights that are none": wrong(vgg=str(file)),
        "a stage before the one that it needs": wrong(stage="blstm"),
        "a stage that there is not": wrong(stage="gan"),
    }


def _syntheses(folder: Path, run: Path) -> dict[str, Callable[[], object]]:
    from lumiere_jax.workflows.infer import infer

    def wrong(**changes: object) -> Callable[[], object]:
        given = {"workdir": run, "audio": NARRATION, "out": folder / "a.mp4", **changes}
        return lambda: infer(**given)

    return {
        "no workdir": wrong(workdir=folder),
        "no narration": wrong(audio=folder / "none.wav"),
        "a narration that is none": wrong(audio=folder / "file"),
        "an output that is no MP4": wrong(out=folder / "a.avi"),
        "an output inside of a file": wrong(out=folder / "file" / "a.mp4"),
        "a certificate that is none": wrong(certificate=folder / "file", key=folder / "file"),
    }
