"""A full disk, one that is read-only, one that is taken away: a sentence, and nothing lost."""

import functools
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torture import train_kills
from torture.footage import make_footage
from torture.infer_kills import OLDER, is_encoding, talk
from torture.processes import NARRATION, Run, finish, kill, start, there, wait_until
from torture.rows import Row
from torture.tally import Tally, say
from torture.train_kills import unreadable, whole_steps

FULL = "a full disk: a sentence, exit code 2, what was whole stays"
ROOM = "a full disk, and then room: the same command goes on"
BEFORE = "a disk that is surely too small: refused before anything is written"
READ_ONLY = "a read-only folder: a sentence, exit code 2"
GONE = "a folder or disk that vanishes under a run: a sentence, exit code 2"
STEPS = {"vae": 40, "blstm": 4, "seqpix2pix": 2}


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[bool]:
    """A disk in memory of this size (as 18m); False where mounting is not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
    )
    try:
        yield done.returncode == 0
    finally:
        subprocess.run(["umount", "-l", folder], capture_output=True)


def remount(folder: Path, option: str) -> None:
    """Another size, or ro."""
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


def torture(folder: Path, seed: int = 0, short: bool = False) -> list[Row]:
    """All of it, which takes minutes; the short form leaves out what mounts."""
    tally, data, workdir = Tally(), folder / "data", folder / "trained"
    footage = make_footage(folder / "footage")
    for script, flags in (
        ("prepare.py", [*footage, f"--out={data}"]),
        ("train.py", train_kills.flags_of(data, workdir, {**STEPS, "vae": 2})),
    ):
        run = start(folder, script, *flags)
        if finish(run):
            raise RuntimeError(f"{script}: {run.said[-400:]}")
    limited_files(folder, data, workdir, footage, tally)
    say("disk: files of a limited size are done")
    replaced_and_removed(folder, data, workdir, footage, tally)
    say("disk: folders that are files, or gone, are done")
    if not short:
        disks(folder, data, workdir, footage, tally)
    return tally.rows


def wrong_with(run: Run, *, says: str) -> str | None:
    """What is wrong with how a run ended: it should be with 2 and one sentence with these words."""
    code, said = finish(run), run.said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    if code != 2 or "Traceback" in said or len(errors) != 1 or says not in errors[0]:
        without_bars = re.sub(r"[^\n]*\r", "", said)
        return f"exit {code}, wanted '{says}': {without_bars[-1500:]}"
    return None


def limited_files(
    folder: Path, data: Path, workdir: Path, footage: list[str], tally: Tally
) -> None:
    """What EFBIG, which needs no disk of its own, makes of each script."""
    copy = shutil.copytree(workdir, folder / "limited")
    before = whole_steps(copy)
    flags = [*train_kills.flags_of(data, copy, STEPS), "--stage=vae"]
    tally.tried(FULL, wrong_with(start(folder, "train.py", *flags, limit=500_000), says="is full"))
    tally.tried(FULL, kept(copy, data, before))
    tally.tried(ROOM, finish(start(folder, "train.py", *flags)))
    out = folder / "limited.mp4"
    out.write_bytes(OLDER)
    tally.tried(FULL, _infer(folder, workdir, out, limit=100_000))
    flags = [*footage, f"--out={folder}/limited-data"]
    run = start(folder, "prepare.py", *flags, limit=300_000)
    tally.tried(FULL, wrong_with(run, says="is full") or left(folder, "limited-data"))
    tally.tried(ROOM, finish(start(folder, "prepare.py", *flags)))


def kept(workdir: Path, data: Path, before: dict[str, list[int]]) -> str | None:
    """What is wrong with the checkpoints that were there before."""
    now = whole_steps(workdir)
    lost = [name for name in before if max(now.get(name, [0])) < max(before[name])]
    return f"{before} became {now}" if lost else unreadable(workdir, data)


def left(folder: Path, name: str) -> str | None:
    """A dataset that is there, or half of one."""
    found = [path.name for path in folder.glob(f"*{name}*") if not path.name.endswith(".clips")]
    return f"left behind: {found}" if found else None


def _infer(folder: Path, workdir: Path, out: Path, says: str = "is full", **options) -> str | None:
    """What is wrong with a run that cannot write its video; the older one stays."""
    flags = (f"--workdir={workdir}", f"--audio={NARRATION}", f"--out={out}")
    wrong = wrong_with(start(folder, "infer.py", *flags, **options), says=says)
    rest = list(out.parent.glob(".unfinished-*.mp4"))
    lost = out.read_bytes() != OLDER and "the older video is gone"
    return wrong or lost or (rest and str(rest))


def replaced_and_removed(
    folder: Path, data: Path, workdir: Path, footage: list[str], tally: Tally
) -> None:
    """Files where folders should be, and folders that are removed under a run."""
    file = folder / "file"
    file.write_text("mine")
    for run in _into(folder, file, data, workdir, footage):
        tally.tried(READ_ONLY, wrong_with(run, says="cannot be written"))
    tally.tried(READ_ONLY, file.read_text() != "mine" and "the file is not what it was")
    for remove in (emptied, taken):
        for place, run, begun in _runs_into(folder, data, workdir, footage, folder):
            tally.tried(GONE, _without(run, begun, functools.partial(remove, place)))
            shutil.rmtree(place, ignore_errors=True)
            say(f"disk: {place.name} was {remove.__name__}")


def _without(run: Run, begun: Callable[[], object], remove: Callable[[], object]) -> str | None:
    """What is wrong with how a run ends whose place is removed once it has begun."""
    if not wait_until(begun, run):
        kill(run)
        return f"it did not begin: {run.said[-500:]}"
    remove()
    return wrong_with(run, says="is gone")


def emptied(place: Path) -> None:
    """File by file, as rm -r does, again for what was written meanwhile."""
    end = time.monotonic() + 5
    while place.exists() and time.monotonic() < end:
        shutil.rmtree(place, ignore_errors=True)


def taken(place: Path) -> None:
    """At once, as a disk goes."""
    gone = place.rename(place.with_name(f"{place.name}-gone"))
    shutil.rmtree(gone, ignore_errors=True)


def _into(
    folder: Path, place: Path, data: Path, workdir: Path, footage: list[str]
) -> Iterator[Run]:
    """A run of each script into a place that cannot be written."""
    yield start(folder, "train.py", *train_kills.flags_of(data, place / "run", STEPS))
    flags = (f"--workdir={workdir}", f"--audio={NARRATION}", f"--out={place}/a.mp4")
    yield start(folder, "infer.py", *flags)
    yield start(folder, "prepare.py", *footage, f"--out={place}/data")


def _runs_into(
    folder: Path, data: Path, workdir: Path, footage: list[str], place: Path
) -> Iterator[tuple[Path, Run, Callable[[], object]]]:
    """A run of each script into a new folder of `place`, and what tells that it writes."""
    into = place / "removed-run"
    flags = train_kills.flags_of(data, into / "run", {**STEPS, "vae": 100_000})
    yield into, start(folder, "train.py", *flags), lambda: there(into, "run/vae/checkpoints/3")
    into = place / "removed-video"
    talk(folder / "long.flac", 60)  # of which it is still writing when its folder goes
    flags = [f"--workdir={workdir}", f"--audio={folder}/long.flac", f"--out={into}/a.mp4"]
    run = start(folder, "infer.py", *flags, "--preset=veryslow")
    yield into, run, lambda: is_encoding(run)
    into = place / "removed-data"
    run = start(folder, "prepare.py", *footage, f"--out={into}/data")
    yield into, run, lambda: there(into, ".data.clips/parts/*/posed-*")


def disks(folder: Path, data: Path, workdir: Path, footage: list[str], tally: Tally) -> None:
    """Disks of their own: too small, full after two checkpoints, read-only, taken away."""
    disk = folder / "disk"
    with mounted(disk, "18m") as allowed:
        if not allowed:
            tally.note(FULL, "disks were not tried: mounting is not allowed here")
            return
        flags = [*train_kills.flags_of(data, disk / "run", STEPS), "--stage=vae"]
        run = start(folder, "train.py", *flags)
        tally.tried(FULL, wrong_with(run, says="is full") or unreadable(disk / "run", data))
        tally.tried(FULL, not whole_steps(disk / "run") and "no checkpoint is left")
        remount(disk, "size=90m")
        tally.tried(ROOM, finish(start(folder, "train.py", *flags)))
        say("disk: full under train.py, and then not")
        remount(disk, "ro")
        for run in _into(folder, disk, data, workdir, footage):
            tally.tried(READ_ONLY, wrong_with(run, says="cannot be written"))
    small = folder / "small"
    with mounted(small, "1m"):
        run = start(folder, "train.py", *train_kills.flags_of(data, small / "run", STEPS))
        wrong = wrong_with(run, says="make room") or left(small / "run", "run.json")
        tally.tried(BEFORE, wrong)
        (small / "full").write_bytes(bytes(2**20 - 12 * 4096))
        (small / "a.mp4").write_bytes(OLDER)
        tally.tried(FULL, _infer(folder, workdir, small / "a.mp4"))
    with mounted(folder / "narrow", "3m"):
        given = [*footage, f"--out={folder}/narrow/data"]
        run = start(folder, "prepare.py", *given)
        tally.tried(FULL, wrong_with(run, says="is full") or left(folder / "narrow", "data"))
        remount(folder / "narrow", "size=90m")
        tally.tried(ROOM, finish(start(folder, "prepare.py", *given)))
    say("disk: full under infer.py and prepare.py")
    for name in ("run", "video", "data"):  # names that are there on the disk below, too
        (folder / "lent" / f"removed-{name}").mkdir(parents=True)
    with mounted(folder / "lent", "90m"):
        runs = _runs_into(folder, data, workdir, footage, folder / "lent")
        for _, run, begun in runs:
            umount = functools.partial(subprocess.run, ["umount", "-l", folder / "lent"])
            tally.tried(GONE, _without(run, begun, functools.partial(umount, check=True)))
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=90m", "tmpfs", folder / "lent"], check=True
            )
            say("disk: taken away")
