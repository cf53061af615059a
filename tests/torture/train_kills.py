"""train.py, killed at random moments: it goes on, and ends as if nothing had happened."""

import functools
import json
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from torture.processes import PRESET, ROOT, Run, finish, kill, start, there, wait_until
from torture.tally import Tally, say

from lumiere_jax.systems.lumierenet.system import stages
from lumiere_jax.training import checkpoint

KILLED = "train.py killed: the next one goes on from the last whole step"
PARTIAL = "train.py killed: every step under its final name loads"
LOST = "train.py killed: no whole step is lost"
ORPHANS = "no process outlives train.py"
EXACT = "killed and resumed: the same parameters, bit for bit"
DEVICES = "resumed on another number of devices: the same losses to rounding"
MOMENTS = "train.py was killed in each kind of moment"
STOPPED = "SIGTERM and Ctrl-C: saved at that step, exit code 143 and 130"
# Every stage long enough for its share of the kills, a checkpoint after each step.
STEPS = {"vae": 36, "blstm": 36, "seqpix2pix": 24}
# Steps after a change of devices in which losses are compared. Those of the first are of the same
# weights, summed in another order; Adam, which divides by the size of a gradient, turns rounding of
# the smallest ones into steps of the learning rate's size, and every later step goes on from there.
ALIKE, FIRST, LATER = 3, 1e-4, 2e-3
KINDS = ("step", "write", "retention")
# So many kills for each kind of moment hit it, though some only last milliseconds.
ENOUGH = 5


def flags_of(data: Path, workdir: Path, steps: dict[str, int], seconds: float = 0) -> list[str]:
    """The flags of a training at preset `tiny` with so many steps of each stage."""
    return [
        PRESET,
        f"--data={data}",
        f"--workdir={workdir}",
        f"--config.checkpoint_seconds={seconds}",
        "--config.seqpix2pix.batch=2",
        *(f"--config.{stage}.steps={count}" for stage, count in steps.items()),
    ]


def torture(
    folder: Path,
    data: Path,
    random: Random,
    tally: Tally,
    count: int,
    steps: dict[str, int] = STEPS,
    stage: str = "all",
    **more: str,
) -> Path:
    """Kills train.py so many times; the workdir of the run that nobody disturbed."""
    folder.mkdir()

    def begin(workdir: Path) -> Run:
        flags = [*flags_of(data, workdir, steps), f"--stage={stage}"]
        return start(folder, "train.py", *flags, **more)

    whole, killed, moments = folder / "whole", 0, Counter[str]()
    if finish(run := begin(whole)):
        raise RuntimeError(f"train.py cannot even run undisturbed: {run.said[-400:]}")
    say("train.py: the undisturbed run is there")
    trained = steps if stage == "all" else {stage: steps[stage]}
    most = max(1, 3 * sum(trained.values()) // (2 * count))
    while killed < count:
        workdir, left = folder / f"run-{killed}", range(killed, count)
        killed = _until_its_end(begin, workdir, data, random, tally, moments, left, most)
        for name in trained:
            tally.tried(EXACT, differing(whole / name, workdir / name))
    count_moments(moments, tally)
    return whole


def count_moments(moments: Counter[str], tally: Tally) -> None:
    """How many kills hit what they were meant for, and a failure where none of many did."""
    missed = [kind for kind in KINDS if not moments[kind]]
    many = moments.total() >= ENOUGH * len(KINDS)
    tally.tried(MOMENTS, many and missed and f"none of {moments.total()} kills: {missed}")
    between, write, retention = (moments[kind] for kind in KINDS)
    hits = f"{between} between steps, {write} in a write, {retention} in retention"
    tally.note(MOMENTS, f"as what was left behind says: {hits}")


def _until_its_end(
    begin: Callable[[Path], Run],
    workdir: Path,
    data: Path,
    random: Random,
    tally: Tally,
    moments: Counter[str],
    numbers: range,
    most: int,
) -> int:
    """Kills a training so many times, each after `most` new steps or fewer, and lets it end; the
    number of the kill that it did not live to see."""
    for number in numbers:
        before, kind = whole_steps(workdir), KINDS[number % len(KINDS)]
        run = begin(workdir)
        if not reached(run, workdir, kind, random, random.randint(1, most)):
            tally.tried(KILLED, finish(run) and f"{run.process.returncode}: {run.said[-300:]}")
            return number
        seen = whole_steps(workdir)
        tally.tried(ORPHANS, kill(run))
        tally.tried(KILLED, went_on_elsewhere(run, before))
        after = whole_steps(workdir)
        lost = [name for name in seen if max(after.get(name, [0])) < max(seen[name])]
        tally.tried(LOST, lost and f"{lost}: {seen} became {after}")
        tally.tried(PARTIAL, unreadable(workdir, data))
        moments[hit := moment(workdir)] += 1
        say(f"train.py: kill {number + 1}, for {kind}, hit {hit}; {after}")
    run = begin(workdir)
    tally.tried(KILLED, finish(run) and f"{run.process.returncode}: {run.said[-300:]}")
    return numbers.stop


def reached(run: Run, workdir: Path, kind: str, random: Random, more: int) -> bool:
    """Waits for so many new steps, and for the moment: between steps, within a checkpoint's
    write, or as it has become whole and older ones are removed."""
    wanted = _taken(workdir) + more
    if not wait_until(lambda: _taken(workdir) >= wanted, run):
        return False
    if kind == "write":
        wait_until(lambda: there(workdir, "*/checkpoints/*tmp*"), run)
    if kind == "retention":
        wait_until(_begins_to_remove(workdir), run, seconds=5)
    time.sleep(random.uniform(0, {"step": 0.5, "write": 0.02, "retention": 0.003}[kind]))
    return run.running


def moment(workdir: Path) -> str:
    """The kind of moment that a run was killed in, as what it left behind says."""
    if any(workdir.glob(f"*/checkpoints/{checkpoint.DELETED}/*")):
        return "retention"
    return "write" if any(workdir.glob("*/checkpoints/*tmp*")) else "step"


def _begins_to_remove(workdir: Path) -> Callable[[], bool]:
    """Whether something of the steps that are there now is there no longer."""
    before = [path for path in workdir.glob("*/checkpoints/*") if path.name.isdecimal()]
    files = {path: _files_in(path) for path in before}
    return lambda: any(_files_in(path) < files[path] for path in before)


def _files_in(folder: Path) -> int:
    """Files at any depth; unlike a glob, a walk goes on where a folder goes while it is listed."""
    return sum(len(names) for _, _, names in os.walk(folder))


def _taken(workdir: Path) -> int:
    """Steps of all stages up to their newest checkpoints."""
    return sum(map(max, whole_steps(workdir).values()))


def whole_steps(workdir: Path) -> dict[str, list[int]]:
    """The steps under their final names, by stage."""
    found: dict[str, list[int]] = {}
    for path in workdir.glob("*/checkpoints/*"):
        if path.name.isdecimal():
            found.setdefault(path.parts[-3], []).append(int(path.name))
    return found


def went_on_elsewhere(run: Run, before: dict[str, list[int]]) -> str | None:
    """What is wrong with where a run went on, as it says itself."""
    for stage, first in re.findall(r"(\w+): steps (\d+) to", run.said):
        if int(first) != max(before.get(stage, [0])) + 1:
            return f"{stage} began with step {first}, and had {before.get(stage)}"
    return None


def presets():
    """The module of the presets."""
    sys.path.insert(0, str(ROOT))
    from configs import lumierenet

    return lumierenet


@functools.cache
def _states(data: Path) -> dict[str, Any]:
    """What a checkpoint of each stage should hold."""
    config = presets().get_config("tiny")
    config.seqpix2pix.batch = 2
    size = json.loads((data / "dataset.json").read_text())["size"]
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    every = stages(config, size).items()
    return {name: checkpoint.abstract_state(stage, device) for name, stage in every}


def unreadable(workdir: Path, data: Path) -> str | None:
    """The first step under its final name that cannot be restored whole."""
    for path in workdir.glob("*/checkpoints/*"):
        if path.name.isdecimal():
            try:
                with ocp.StandardCheckpointer() as reader:
                    wanted = _states(data)[path.parts[-3]]
                    state = reader.restore(path.absolute() / "state", wanted)
                if int(state.step) != int(path.name):
                    return f"{path} is of step {state.step}"
            except Exception as error:
                return f"{path}: {type(error).__name__}: {str(error)[:200]}"
    return None


def differing(one: Path, other: Path) -> str | None:
    """What differs between the newest states in two stages' folders, to the bit."""
    states = [_arrays(folder) for folder in (one, other)]
    if states[0].keys() != states[1].keys():
        return f"{one.name}: other arrays"
    names = [k for k in states[0] if states[0][k].tobytes() != states[1][k].tobytes()]
    return f"{one.name}: {len(names)} of {len(states[0])} arrays, as {names[0]}" if names else None


def _arrays(folder: Path) -> dict[str, np.ndarray]:
    newest = max(whole_steps(folder.parent)[folder.name])
    with ocp.PyTreeCheckpointer() as reader:
        tree = reader.restore((folder / "checkpoints" / str(newest)).absolute() / "state")
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): _plain(leaf) for path, leaf in leaves}


def _plain(leaf: Any) -> np.ndarray:
    typed = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if typed else leaf)


def other_devices(folder: Path, data: Path, whole: Path, tally: Tally, steps=STEPS) -> None:
    """Each stage begun on one device and ended on two, beside the run that nobody disturbed."""
    for stage in steps:
        workdir = folder / f"devices-{stage}"
        shutil.copytree(whole, workdir, ignore=shutil.ignore_patterns(stage))
        flags, half = [*flags_of(data, workdir, steps), f"--stage={stage}"], steps[stage] // 2
        run = start(folder, "train.py", *flags)
        wait_until(lambda s=stage, w=workdir, h=half: max(whole_steps(w).get(s, [0])) >= h, run)
        kill(run)
        last = max(whole_steps(workdir)[stage])
        run = start(folder, "train.py", *flags, JAX_NUM_CPU_DEVICES="2")
        wrong = finish(run) and run.said[-300:]
        if f"{stage}: steps {last + 1} to" not in run.said or "on 2 cpu device" not in run.said:
            wrong = wrong or f"it did not go on on two devices: {run.said[:300]}"
        tally.tried(DEVICES, wrong or _other_losses(whole / stage, workdir / stage, last))
        say(f"train.py: {stage} went on on two devices after step {last}")
    tally.note(DEVICES, f"to {FIRST:g} in the first step, to {LATER:g} until {ALIKE} steps later")


def _other_losses(one: Path, other: Path, last: int) -> str | None:
    """The first number of two logs that differs by more than rounding, up to some steps after the
    last one before the change; what is measured after a step (`val_`) is of its weights."""
    logs = [(folder / "log.jsonl").read_text().splitlines() for folder in (one, other)]
    if len(logs[0]) != len(logs[1]):
        return f"{one.name}: {len(logs[0])} and {len(logs[1])} lines"
    for first, second in zip(*(map(json.loads, log) for log in logs), strict=True):
        for name in first if first["step"] <= last + ALIKE else ():
            early = first["step"] <= last + (not name.startswith("val_"))
            rtol = FIRST if early else LATER
            if not np.isclose(first[name], second.get(name, np.nan), rtol=rtol, atol=1e-5):
                return f"{one.name}, step {first['step']}: {name} {first[name]} {second.get(name)}"
    return None


def shown_step(run: Run) -> int:
    """The last step of the VAE that the bar has shown."""
    return max(map(int, re.findall(r" (\d+)/100000", run.said)), default=0)


def stops(folder: Path, data: Path, random: Random, tally: Tally, steps=STEPS, **more: str) -> None:
    """SIGTERM and SIGINT in the middle of a stage without a checkpoint of its own so far."""
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        workdir = folder / f"stopped-{code}"
        flags = flags_of(data, workdir, {**steps, "vae": 100_000}, seconds=1e6)
        run = start(folder, "train.py", *flags, "--stage=vae", **more)
        wanted = random.randint(3, 9)
        wait_until(lambda run=run, wanted=wanted: shown_step(run) >= wanted, run)
        run.process.send_signal(number)
        sent = time.monotonic()
        left = finish(run, 120) != code and f"exit {run.process.returncode}, not {code}"
        say(f"train.py: {number.name} took {time.monotonic() - sent:.1f} s to stop it")
        saved = max(whole_steps(workdir).get("vae", [0]))
        if not left and not (saved and abs(saved - shown_step(run)) <= 1):
            left = f"stopped at step {shown_step(run)}, and step {saved} is saved"
        if not left and (wrong := unreadable(workdir, data)):
            left = wrong
        tally.tried(STOPPED, left)
        shutil.rmtree(workdir, ignore_errors=True)
