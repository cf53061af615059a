"""prepare.py, killed at random moments: what is whole outlasts it, what is there is whole."""

import hashlib
import shutil
import time
from pathlib import Path
from random import Random

import numpy as np
from torture.footage import make_footage, write_clip
from torture.processes import Run, finish, kill, living, start, wait_until
from torture.tally import Tally, say

from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.inputs.dataset.segments import SPLITS

KILLED = "prepare.py killed: the next one goes on"
PARTIAL = "prepare.py killed: what has its final name is whole"
REUSED = "prepare.py killed: whole clips are not done again"
ORPHANS = "no worker outlives prepare.py"
SYNTHETIC = ("--synthetic", "--minutes=0.1", "--size=64", "--noexplicit")


def torture(folder: Path, random: Random, tally: Tally, footage: int, drawn: int) -> None:
    """Kills prepare.py on footage, and drawing, so many times each."""
    folder.mkdir()
    kills(folder / "footage", make_footage(folder / "made"), random, tally, footage)
    if drawn:
        kills(folder / "drawn", list(SYNTHETIC), random, tally, drawn)


def kills(
    folder: Path, flags: list[str], random: Random, tally: Tally, count: int, **more: str
) -> None:
    """Undisturbed once; then killed again and again, each run going on from the one before."""
    folder.mkdir()
    whole = start(folder, "prepare.py", *flags, f"--out={folder}/whole", **more)
    if finish(whole):
        raise RuntimeError(f"prepare.py cannot even run undisturbed: {whole.said[-400:]}")
    wanted, out = contents(folder / "whole"), folder / "data"
    killed, archives = 0, {}
    while True:
        run = start(folder, "prepare.py", *flags, f"--out={out}", **more)
        # The last one is left alone.
        if killed < count and _reached(run, folder, random):
            killed += 1
            tally.tried(ORPHANS, kill(run))
        elif finish(run):
            tally.tried(KILLED, f"exit {run.process.returncode}: {run.said[-300:]}")
            return
        say(f"prepare.py: {killed} of {count} kills")
        tally.tried(PARTIAL, what_is_partial(out, wanted))
        archives = _same(archives, folder / ".data.clips" / "whole", tally)
        if out.exists():  # ended, or killed with nothing left to do
            rest = [path.name for path in folder.glob(".data*")]
            tally.tried(KILLED, rest and f"left behind: {rest}")
            shutil.rmtree(out)
            archives = {}
            if killed == count:
                return


def _reached(run: Run, folder: Path, random: Random) -> bool:
    """Waits for some new piece, archive or file of the dataset, and a moment longer."""
    before, more = _made(folder), random.randint(1, 4)
    reached = wait_until(lambda: len(_made(folder) - before) >= more, run)
    if reached and random.random() < 0.7:
        time.sleep(random.uniform(0, 0.4))
    return run.running


def _made(folder: Path) -> set[str]:
    """What a run makes, by path; changing names are taken as they come."""
    kept, partial = folder / ".data.clips", folder / ".data.partial"
    while True:
        try:
            found = [*kept.glob("*/*/*"), *partial.glob("*"), *partial.glob("lectures/*/*")]
            return {str(path) for path in found}
        except FileNotFoundError:  # a folder had its name changed while it was looked into
            continue


def _same(before: dict[str, tuple], whole: Path, tally: Tally) -> dict[str, tuple]:
    """Archives that were whole before are the same files."""
    now = {}
    for path in whole.glob("[!.]*/pictures.bin"):
        stat = path.stat()
        now[path.parent.name] = (stat.st_ino, stat.st_mtime_ns)
    for name, made in before.items():
        if name in now:
            tally.tried(REUSED, made != now[name] and f"{name} was made again")
    return now


def contents(folder: Path) -> dict[str, str]:
    """Digests of a dataset's files, and of its records, whose bytes have their fields in any
    order."""
    files = [path for path in folder.rglob("*") if path.is_file() and "array_" not in path.name]
    found = {str(path.relative_to(folder)): _digest(path.read_bytes()) for path in files}
    dataset = open_dataset(folder)
    for split in SPLITS:
        for i, example in enumerate(dataset.records(split)):
            fields = (np.asarray(example[name]).tobytes() for name in sorted(example))
            found[f"{split} {i}"] = _digest(b"".join(fields))
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def what_is_partial(out: Path, wanted: dict[str, str]) -> str | None:
    """What is wrong with a dataset under its final name, where there is one."""
    if not out.exists():
        return None
    found = contents(out)
    names = [name for name in found | wanted if found.get(name) != wanted.get(name)]
    return f"{len(names)} differ, as {names[0]}" if names else None


def torture_estimator(folder: Path, random: Random, tally: Tally, count: int) -> None:
    """Kills prepare.py while MediaPipe's program, which `uv` installs, looks at footage."""
    folder.mkdir()
    (folder / "consent.toml").write_text('who = "Ada"\nwhen = 2026-01-31\npurpose = "torture"\n')
    write_clip(folder / "talk.mp4", 60)
    flags = [f"--footage={folder}/talk.mp4", f"--consent={folder}/consent.toml", "--size=64"]
    for _ in range(count):
        run = start(folder, "prepare.py", *flags, f"--out={folder}/data")
        own = lambda run=run: any("holistic.py" in c for c in living(run.mark).values())  # noqa: E731
        if not wait_until(own, run):
            kill(run)
            tally.note(ORPHANS, f"MediaPipe was not tried: {run.said.strip()[-200:]}")
            return
        time.sleep(random.uniform(1, 6))
        tally.tried(ORPHANS, kill(run))
        say("prepare.py killed with MediaPipe's program")
