"""Two runs on one workdir, and the lock of a run that was killed."""

import functools
import signal
from collections.abc import Callable
from pathlib import Path

from torture import train_kills
from torture.disk import wrong_with
from torture.footage import make_footage
from torture.processes import Run, finish, kill, start, there, wait_until
from torture.rows import Row
from torture.tally import Tally, say

REFUSED = "the second of two runs on one folder is refused"
STALE = "the lock of a run that was killed is taken over at once"
# What a run says that is refused, and what trainings and preparations say when they work, also
# where little is left to do.
IN_USE, WORKS = "is in use by another run", (": steps ", "preparing:", " frames; look at ")
LONG = {"vae": 100_000, "blstm": 2, "seqpix2pix": 2}


def torture(folder: Path, seed: int = 0, short: bool = False) -> list[Row]:
    """Trainings and preparations, two at a time; each first one is killed in the end."""
    tally, data = Tally(), folder / "data"
    # Long enough that the first is still at work when the second has started.
    footage = make_footage(folder / "footage", {"first": 60, "second": 60})
    if finish(start(folder, "prepare.py", *footage, f"--out={data}")):
        raise RuntimeError("prepare.py cannot even run undisturbed")
    trainings(folder, data, tally, 1 if short else 3)
    preparations(folder, footage, tally, 1 if short else 3)
    return tally.rows


def trainings(folder: Path, data: Path, tally: Tally, times: int, **more: str) -> None:
    """A training that saves, another beside it, and one after its death."""
    workdir, left = folder / "run", None
    for _ in range(times):
        flags = [*train_kills.flags_of(data, workdir, LONG, seconds=1e6), "--stage=vae"]
        first = left or start(folder, "train.py", *flags, **more)
        wait_until(lambda run=first: "vae: steps" in run.said, first)
        second = start(folder, "train.py", *flags, **more)
        tally.tried(REFUSED, wrong_with(second, says=IN_USE))
        again = functools.partial(start, folder, "train.py", *flags, **more)
        left = taken_over(first, again, tally)
    if left:
        kill(left)


def preparations(folder: Path, footage: list[str], tally: Tally, times: int) -> None:
    """A preparation whose workers live a moment longer than it."""
    for number in range(times):
        flags = [*footage, f"--out={folder}/made-{number}"]
        first = start(folder, "prepare.py", *flags)
        wait_until(lambda n=number: there(folder, f".made-{n}.clips/parts/*/posed-*"), first)
        first.process.send_signal(signal.SIGSTOP)  # or it may be done before the second looks
        second = start(folder, "prepare.py", *flags)
        tally.tried(REFUSED, wrong_with(second, says=IN_USE))
        kill(taken_over(first, functools.partial(start, folder, "prepare.py", *flags), tally))


def taken_over(first: Run, again: Callable[[], Run], tally: Tally) -> Run:
    """kill -9, and the same command at once, while what it started may live."""
    first.process.kill()
    first.process.wait()
    run = again()
    tally.tried(STALE, not_begun(run))
    kill(first)
    say("locks: taken over")
    return run


def not_begun(run: Run, seconds: float = 300) -> str | None:
    """What is wrong unless a run says that it works: refused, ended without a word, or mute."""
    spoken = wait_until(lambda: any(word in run.said for word in (IN_USE, *WORKS)), run, seconds)
    if spoken and IN_USE not in run.said:
        return None
    code = run.process.poll()
    return f"{'it runs on' if code is None else f'exit {code}'}, and said: {run.said[-300:]!r}"
