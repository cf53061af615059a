"""infer.py, killed at random moments: the older video stays, or the new one is there, whole."""

import time
from pathlib import Path
from random import Random

import av
from torture.processes import NARRATION, finish, kill, start, wait_until
from torture.tally import Tally, say

KILLED = "infer.py killed: the next one gives the same video"
PARTIAL = "infer.py killed: the video is the older one, or whole"
ORPHANS = "no process outlives infer.py"
OLDER = b"an older video"


def torture(
    folder: Path,
    workdir: Path,
    random: Random,
    tally: Tally,
    count: int,
    narration: Path = NARRATION,
    **more: str,
) -> None:
    """Kills infer.py so many times, most of them while it encodes."""
    folder.mkdir()
    whole, out = folder / "whole.mp4", folder / "lecture.mp4"
    flags = (f"--workdir={workdir}", f"--audio={narration}")
    run = start(folder, "infer.py", *flags, f"--out={whole}", **more)
    wait_until(lambda: list(folder.glob(".whole.*.mp4")), run)
    began = time.monotonic()
    if finish(run):
        raise RuntimeError(f"infer.py cannot even run undisturbed: {run.said[-400:]}")
    lasts, wanted = time.monotonic() - began, whole.read_bytes()
    frames = frames_of(whole)
    if f": {frames} frames" not in run.said:
        raise RuntimeError(f"{whole} has {frames} frames: {run.said[-200:]}")
    say(f"infer.py: the undisturbed run encodes {frames} frames in {lasts:.1f} s")
    for number in range(count):
        out.write_bytes(OLDER)
        run = start(folder, "infer.py", *flags, f"--out={out}", **more)
        if number % 5 == 4:
            time.sleep(random.uniform(0, 5))  # before the encoder
        else:
            before = set(folder.glob(".lecture.*.mp4"))
            wait_until(lambda old=before: set(folder.glob(".lecture.*.mp4")) - old, run)
            time.sleep(random.uniform(0, 1.05 * lasts))
        tally.tried(ORPHANS, kill(run))
        found = out.read_bytes()
        tally.tried(PARTIAL, found not in (OLDER, wanted) and f"{len(found)} bytes of it")
        done = "whole" if found == wanted else "the older one"
        say(f"infer.py: {number + 1} of {count} kills; the video is {done}")
    code = finish(start(folder, "infer.py", *flags, f"--out={out}", **more))
    same = code == 0 and out.read_bytes() == wanted
    tally.tried(KILLED, not same and f"exit {code}, or another video")


def frames_of(path: Path) -> int:
    """The frames that a video gives, all of them decoded."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
