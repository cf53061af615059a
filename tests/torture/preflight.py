"""What can fail later fails at once: how long train.py and infer.py take to refuse."""

import contextlib
import io
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import av
import jax
from absl import logging
from torture.disk import mounted
from torture.footage import dataset
from torture.processes import NARRATION, PRESET, finish, start
from torture.rows import Row
from torture.tally import Tally, say
from torture.train_kills import STEPS, flags_of, presets

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.lectures import DESCRIPTION

# Processor time, which other work on the machine does not lengthen.
REFUSED = "preflight: refused within 2 s of processor time, once JAX is up"
PASSED = "preflight: what is right begins"
SECONDS = 2.0
NARROW = "no space"


def torture(folder: Path, seed: int = 0, short: bool = False) -> list[Row]:
    """Every wrong input that a preflight looks for, against a dataset and a trained workdir, and a
    right one."""
    data, run = dataset(folder), folder / "run"
    steps = dict.fromkeys(STEPS, 2)
    if finish(trained := start(folder, "train.py", *flags_of(data, run, steps))):
        raise RuntimeError(
            f"train.py cannot even run undisturbed ({PRESET}): {trained.said[-400:]}"
        )
    logging.set_verbosity(logging.FATAL)  # as the scripts do
    jax.devices()
    tally, slowest = Tally(), 0.0
    with mounted(folder / "narrow", "1m") as allowed:
        every = {**_trainings(folder, data, run), **_syntheses(folder, run)}
        if not allowed:
            every.pop(NARROW)
            tally.note(REFUSED, f"{NARROW} was not tried: mounting is not allowed here")
        for name, wrong in every.items():
            began, refused = time.process_time(), None
            try:
                wrong()
            except UserError as error:
                refused = str(error)
            took = time.process_time() - began
            slowest = max(slowest, took)
            late = not refused or took > SECONDS
            tally.tried(REFUSED, late and f"{name}: {took:.1f} s, {refused}")
            say(f"preflight: {name}: {took:.1f} s, {refused}")
    tally.note(REFUSED, f"the slowest took {slowest:.1f} s")
    _passes(folder, data, tally)
    return tally.rows


def _passes(folder: Path, data: Path, tally: Tally) -> None:
    """All that comes before the first stage is trained, at the size that is meant to be trained."""
    from lumiere_jax.commands import train as training

    config = presets().get_config("lecture")
    config.vgg = "none"
    began, said = time.process_time(), io.StringIO()
    with mock.patch.object(training, "_train_stage"), contextlib.redirect_stdout(said):
        training.train(config=config, data=data, workdir=folder / "lecture")
    took = time.process_time() - began
    tally.tried(PASSED, " to write, " not in said.getvalue() and f"it said: {said.getvalue()}")
    tally.note(PASSED, f"lecture's config, without VGG-19's weights, in {took:.1f} s")


def _trainings(folder: Path, data: Path, run: Path) -> dict[str, Callable[[], object]]:
    from lumiere_jax.commands.train import train

    def wrong(stage: str = "all", **changes: object) -> Callable[[], object]:
        config = presets().get_config("tiny")
        given = {"data": data, "workdir": folder / "other", **changes}
        for path in [name for name in given if name not in ("data", "workdir")]:
            setattr(config, path, given.pop(path))
        return lambda: train(config=config, stage=stage, **given)

    def alone() -> None:
        with mock.patch.object(jax, "process_count", lambda: 2):
            wrong()()

    file = folder / "file"
    file.write_text("")
    return {
        NARROW: wrong(workdir=folder / "narrow" / "run"),
        "devices of hosts that do not know each other": alone,
        "other statistics than those trained with": wrong(data=_louder(data), workdir=run),
        "no dataset": wrong(data=folder),
        "a workdir that is a file": wrong(workdir=file),
        "a workdir that is a dataset": wrong(workdir=data),
        "no VGG weights": wrong(vgg=str(folder / "vgg.pth")),
        "weights that are none": wrong(vgg=str(file)),
        "a stage before the one that it needs": wrong(stage="blstm"),
        "a stage that there is not": wrong(stage="gan"),
    }


def _louder(data: Path) -> Path:
    """The dataset, with another mean of its sound."""
    other = shutil.copytree(data, data.with_name("louder"))
    facts = json.loads((other / DESCRIPTION).read_text())
    facts["mean"][0] += 1.0
    (other / DESCRIPTION).write_text(json.dumps(facts))
    return other


def _syntheses(folder: Path, run: Path) -> dict[str, Callable[[], object]]:
    from lumiere_jax.commands.infer import infer

    def wrong(**changes: object) -> Callable[[], object]:
        given = {"workdir": run, "audio": NARRATION, "out": folder / "a.mp4", **changes}
        return lambda: infer(**given)

    def without_encoder() -> None:
        with mock.patch.object(av, "Codec", side_effect=ValueError("there is no libx264")):
            wrong()()

    return {
        "no encoder": without_encoder,
        "no workdir": wrong(workdir=folder),
        "no narration": wrong(audio=folder / "none.wav"),
        "a narration that is none": wrong(audio=folder / "file"),
        "an output that is no MP4": wrong(out=folder / "a.avi"),
        "an output inside of a file": wrong(out=folder / "file" / "a.mp4"),
        "a certificate that is none": wrong(certificate=folder / "file", key=folder / "file"),
    }
