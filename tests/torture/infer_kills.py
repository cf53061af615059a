"""infer.py, killed at random moments: the older video stays, or the new one is there, whole."""

import time
from pathlib import Path
from random import Random

import av
import numpy as np
import soundfile
from torture.processes import NARRATION, Run, finish, kill, start, wait_until
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
    seconds: int = 100,
    **more: str,
) -> None:
    """Kills infer.py so many times, most of them while it encodes."""
    folder.mkdir()
    whole, out = folder / "whole.mp4", folder / "lecture.mp4"
    talk(folder / "talk.flac", seconds)
    flags = (f"--workdir={workdir}", f"--audio={folder}/talk.flac")
    run = start(folder, "infer.py", *flags, f"--out={whole}", **more)
    wait_until(lambda: is_encoding(run), run)
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
            wait_until(lambda run=run: is_encoding(run), run)
            time.sleep(random.uniform(0, 1.05 * lasts))
        tally.tried(ORPHANS, kill(run))
        found = out.read_bytes()
        tally.tried(PARTIAL, found not in (OLDER, wanted) and f"{len(found)} bytes of it")
        done = "whole" if found == wanted else "the older one"
        say(f"infer.py: {number + 1} of {count} kills; the video is {done}")
    code = finish(start(folder, "infer.py", *flags, f"--out={out}", **more))
    same = code == 0 and out.read_bytes() == wanted
    tally.tried(KILLED, not same and f"exit {code}, or another video")


def talk(path: Path, seconds: int) -> None:
    """A narration of so many seconds."""
    known, rate = soundfile.read(NARRATION)
    soundfile.write(path, np.resize(known, seconds * rate), rate)


def is_encoding(run: Run) -> bool:
    """Whether the bar has moved, as it does with the first frame."""
    return run.said.count("\r") > 1


def frames_of(path: Path) -> int:
    """The frames that a video gives, all of them decoded."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
