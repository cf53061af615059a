"""Long and many: an hour's narration by a lecturer and by a face, 500 short ones, a day of
checkpoints; nothing may grow."""

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import soundfile
from torture import train_kills
from torture.footage import dataset
from torture.infer_kills import frames_of, is_encoding, talk
from torture.prepare_kills import SYNTHETIC
from torture.processes import FACES, NARRATION, Run, finish, start
from torture.rows import Row
from torture.tally import Tally, say

from lumiere_jax.training.progress_reports import between_clips

HOUR = "an hour's narration: every frame is there"
FACE = "an hour's narration by a face: every frame is there"
MANY = "short narrations in a row in one process: each is there"
DAY = "a training as long as a day's checkpoints goes on to its end"
# What the second half of a soak may take beyond the first: an allocator's drift, no leak's.
MB, FILES, THREADS = 24, 2, 2
# An event loop of Orbax's has three files and may wait for the collection of garbage: where each
# step is saved there is hardly a moment without one.
LOOP = 3
# A day at one checkpoint in five minutes has 288. The BLSTM, whose steps are the fastest, takes as
# many as it can between two; the others save after each step.
CHECKPOINTS = {"vae": 60, "blstm": 168, "seqpix2pix": 60}
BETWEEN = {"vae": 0.0, "blstm": 1.0, "seqpix2pix": 0.0}
ENDLESS = 100_000_000
# Pools of threads, and the allocator's arenas, are filled by the first ones. Until the first clip
# is made, something is still to be compiled: the heap grows for that by tens of MB, and keeps them.
FEWEST = 48
# Seconds without another checkpoint after which a run is taken to hang.
HANGS = 900.0
MANY_TIMES = """
import sys
from pathlib import Path
from lumiere_jax.commands.infer import infer
workdir, talks, out, times = sys.argv[1:]
talks = sorted(Path(talks).iterdir())
for i in range(int(times)):
    talk = talks[i % len(talks)]
    frames = infer(workdir=Path(workdir), audio=talk, out=Path(out) / f"{i % len(talks)}.mp4")
    print("spoken", i, frames, flush=True)
"""


class Sample(NamedTuple):
    """What a process holds at a moment."""

    mb: float
    files: int
    threads: int


def torture(folder: Path, seed: int = 0, short: bool = False) -> list[Row]:
    """All of it; the short form is a tenth as long."""
    share, tally = 10 if short else 1, Tally()
    data, workdir = dataset(folder, *SYNTHETIC), folder / "run"
    steps = {"vae": 2, "blstm": 2, "seqpix2pix": 2}
    run = start(folder, "train.py", *train_kills.flags_of(data, workdir, steps))
    if finish(run):
        raise RuntimeError(f"train.py: {run.said[-400:]}")
    hour(folder, HOUR, 30, tally, 3600 // share, f"--workdir={workdir}")
    hour(folder, FACE, 25, tally, 3600 // share, *_face(folder / "faces"))
    many(folder, workdir, tally, 500 // share)
    day(folder, data, tally, share)
    return tally.rows


def _face(folder: Path) -> tuple[str, str]:
    """infer.py's flags for a face, drawn and trained."""
    folder.mkdir()
    flags = ("--synthetic", "--align=face", "--speakers=4", "--minutes=0.1")
    data, workdir = dataset(folder, *flags), folder / "run"
    run = start(folder, "train.py", FACES, f"--data={data}", f"--workdir={workdir}")
    if finish(run):
        raise RuntimeError(f"train.py: {run.said[-400:]}")
    return f"--workdir={workdir}", f"--image={data}/stills/test-face-3.png"


def hour(folder: Path, promise: str, fps: int, tally: Tally, seconds: int, *flags: str) -> None:
    """A narration of so many seconds, streamed."""
    talk(folder / "long.flac", seconds)
    out = folder / "long.mp4"
    run = start(folder, "infer.py", *flags, f"--audio={folder}/long.flac", f"--out={out}")
    seen = watched(run, lambda: is_encoding(run))
    wrong = finish(run) and run.said[-300:]
    tally.tried(promise, wrong or (frames_of(out) != fps * seconds and "frames are missing"))
    tally.note(promise, f"{seconds} s of sound, {fps * seconds:,} frames")
    flat(tally, promise.partition(":")[0], seen)


def many(folder: Path, workdir: Path, tally: Tally, times: int, **more: str) -> None:
    """So many narrations of half a second to one and a half, one after the other."""
    known, rate = soundfile.read(NARRATION)
    (folder / "talks").mkdir()
    for i in range(5):
        soundfile.write(folder / f"talks/{i}.wav", known[rate * i :][: rate * (i + 2) // 4], rate)
    (folder / "many.py").write_text(MANY_TIMES)
    (folder / "films").mkdir()
    flags = (workdir, folder / "talks", folder / "films", times)
    run = start(folder, str(folder / "many.py"), *flags, **more)
    spoken = lambda i: f"spoken {i} " in run.said  # noqa: E731
    # What a process touches while it ends says nothing of what it kept.
    seen = watched(run, lambda: spoken(times // 4), lambda: spoken(times - 1))
    wrong = finish(run) and run.said[-300:]
    told = {int(i): int(n) for i, n in re.findall(r"spoken (\d+) (\d+)", run.said)}
    for i in range(times):
        tally.tried(MANY, wrong or told.get(i) != -(-30 * (i % 5 + 2) // 4) and f"{i}: {told}")
    flat(tally, "narrations in a row", seen)


def day(folder: Path, data: Path, tally: Tally, share: int, **more: str) -> None:
    """Every stage until it has its share of a day's checkpoints; it is stopped then."""
    tally.note(DAY, f"{sum(CHECKPOINTS.values())} are a day's at one in five minutes")
    for stage, wanted in CHECKPOINTS.items():
        _stage_of_a_day(stage, max(FEWEST, wanted // share), folder / "day", data, tally, **more)


def _stage_of_a_day(
    stage: str, wanted: int, workdir: Path, data: Path, tally: Tally, **more: str
) -> None:
    # A run has four clips: one after each third of the checkpoints that are waited for.
    steps = ENDLESS if BETWEEN[stage] else 4 * (wanted // 3)
    every = dict.fromkeys(CHECKPOINTS, 2) | {stage: steps}
    flags = train_kills.flags_of(data, workdir, every, seconds=BETWEEN[stage])
    own = (f"--stage={stage}", "--config.blstm.dispatch=50")
    run, saved = start(workdir.parent, "train.py", *flags, *own, **more), set[int]()
    began = newest = time.monotonic()

    def enough() -> bool:
        nonlocal newest
        if found := set(train_kills.whole_steps(workdir).get(stage, [])) - saved:
            saved.update(found)
            newest = time.monotonic()
        return len(saved) >= wanted or time.monotonic() > newest + HANGS

    begun = lambda: len(saved) > wanted // 4 and max(saved) > between_clips(steps)  # noqa: E731
    seen = watched(run, begun, enough)
    run.process.send_signal(signal.SIGTERM)
    wrong = finish(run) != 143 and f"exit {run.process.returncode}: {run.said[-300:]}"
    few = len(saved) < wanted and f"{len(saved)} checkpoints of {wanted}"
    wrong = wrong or few or train_kills.unreadable(workdir, data)
    tally.tried(DAY, wrong and f"{stage}: {wrong}")
    clips = len(list(workdir.glob(f"{stage}/clips/*.mp4")))
    tally.note(
        DAY,
        f"{stage}: {max(saved, default=0):,} steps, {len(saved)} checkpoints, {clips} clips "
        f"in {time.monotonic() - began:.0f} s",
    )
    flat(tally, f"a day's checkpoints of {stage}", seen, FILES + LOOP)


def watched(
    run: Run, begun: Callable[[], object], stop: Callable[[], object] = lambda: False
) -> list[Sample]:
    """Samples of a run from when it has begun, until it ends or is to be stopped."""
    seen, has_begun = [], False
    while run.running and not stop():
        has_begun = has_begun or bool(begun())
        if has_begun and (sample := _sample(run.process.pid)):
            seen.append(sample)
        time.sleep(0.1)
    return seen


def _sample(pid: int) -> Sample | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:  # it has just ended
        return None
    values = {k: int(v) for k, v in re.findall(r"(VmRSS|Threads):\s+(\d+)", status)}
    return Sample(values["VmRSS"] / 1024, files, values["Threads"]) if "VmRSS" in values else None


def flat(tally: Tally, what: str, seen: list[Sample], files: int = FILES) -> None:
    """Compares the halves: the most memory, and the fewest files and threads, since those of a
    write that happens to be looked at are closed with it, and what leaks stays."""
    half = len(seen) // 2
    for name, bound, of in (("MB", MB, max), ("files", files, min), ("threads", THREADS, min)):
        promise = f"{what}: {name} stay flat"
        if not half:
            tally.tried(promise, "it ended before it could be watched")
            continue
        first, second = (
            of(getattr(sample, name.lower()) for sample in part)
            for part in (seen[:half], seen[half:])
        )
        tally.tried(promise, second > first + bound and f"{first:.0f} became {second:.0f}")
        most = "at most" if of is max else "held"
        tally.note(promise, f"{most} {first:.0f}, then {second:.0f} (allowed: +{bound})")
    say(f"soak: {what}")
