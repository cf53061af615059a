"""The frames that training leaves out: their reasons, and how they are reported.

Every frame of a clip has a code: 0 if it stays, otherwise the index of its reason in `REASONS`.
"""

import csv
import itertools
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.segments import Stretch

REASONS = (
    "",
    "the picture has not begun",
    "there is no sound",
    "the picture stands still",
    "the picture is blank or fades",
    "another scene is seen",
    "no pose is found",
    "no face is found",
    "too short: under a second",
)
KEPT, NO_PICTURE, NO_SOUND, FROZEN, BLANK, SCENE, NOBODY, NO_FACE, SHORT = range(len(REASONS))
Codes = UInt8[np.ndarray, " frames"]

# Shortest stretch that stays, in seconds.
SHORTEST = 1
# Largest share of frames that may be left out; most clips, and stretches of each, in a report.
MOST, LISTED = 0.5, 20
# Most stretches that an error names.
WORST = 5
FILE = "left_out.csv"


def runs(flags: Bool[np.ndarray, " frames"]) -> Iterator[Stretch]:
    """The first frame and the one after the last of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def unplayed(
    frames: int, fps: Fraction, picture_from: float, unheard: tuple[tuple[float, float], ...]
) -> Codes:
    """Returns codes of frames before the first picture, or that touch seconds without sound.

    Args:
      picture_from: Seconds at which the first picture appears.
      unheard: Stretches without sound, in seconds.
    """
    codes = np.zeros(frames, np.uint8)
    for start, stop in unheard:
        codes[int(start * fps) : -int(-stop * fps // 1)] = NO_SOUND
    # Frames sample the picture a quarter frame after their start: see `footage.reading`.
    codes[: -int(-(picture_from * fps - Fraction(1, 4)) // 1)] = NO_PICTURE
    return codes


def without_short(codes: Codes, fps: Fraction) -> Codes:
    """Returns the codes, with stretches of under a second between others left out too."""
    codes = codes.copy()
    for first, stop in stretches(codes):
        if stop - first < min(SHORTEST * fps, len(codes)):
            codes[first:stop] = SHORT
    return codes


def stretches(codes: Codes) -> list[Stretch]:
    """Returns the first frame and the one after the last of every stretch that stays."""
    return list(runs(codes == KEPT))


def report(clips: Mapping[str, Codes], paths: Mapping[str, Path], fps: Fraction) -> list[str]:
    """Formats the number of left-out frames, and each clip's times and reasons, as lines."""
    lost = {name: int((codes > 0).sum()) for name, codes in clips.items()}
    total, frames = sum(lost.values()), sum(map(len, clips.values()))
    if not total:
        return []
    some = [name for name, number in lost.items() if number]
    lines = [f"left out of training: {total} of {frames} frames ({total / frames:.1%})"]
    for name in some[:LISTED]:
        parts = list(_parts(clips[name]))
        times = [
            f"{clock(first, fps)} to {clock(stop, fps)} ({reason})"
            for first, stop, reason in parts[:LISTED]
        ]
        more = [f"and {len(parts) - LISTED} more"] if len(parts) > LISTED else []
        whole = "all " if lost[name] == len(clips[name]) else ""
        lines.append(f"  {paths[name]}: {whole}{_frames(lost[name])}: {', '.join(times + more)}")
    if len(some) > LISTED:
        lines.append(f"  and {len(some) - LISTED} more clips: see {FILE} in the dataset")
    return lines


def _frames(number: int) -> str:
    return f"{number} frame{'s' * (number != 1)}"


def check(clips: Mapping[str, Codes], paths: Mapping[str, Path], fps: Fraction) -> None:
    """Raises a UserError if more than half of all frames are left out."""
    codes = np.concatenate([*clips.values()])
    if (codes > 0).sum() <= MOST * len(codes):
        return
    counts = np.bincount(codes, minlength=len(REASONS))
    counts[[KEPT, SHORT]] = 0  # a short stretch has others beside it
    most = int(counts.argmax()) or SHORT
    name = max(clips, key=lambda name: (clips[name] == most).sum())
    worst = sorted(runs(clips[name] == most), key=lambda run: run[0] - run[1])[:WORST]
    times = ", ".join(f"{clock(a, fps)} to {clock(b, fps)}" for a, b in sorted(worst))
    among = f", {len(clips)} clips" if len(clips) > 1 else ""
    raise UserError(
        f"{paths[name]}: {REASONS[most]} in {(clips[name] == most).sum()} of {len(clips[name])} "
        f"frames (at {times}); of all footage{among}, {(codes > 0).mean():.0%} cannot be trained "
        "on: give other footage, choose another --crop, or cut these times out."
    )


def write(path: Path, clips: Mapping[str, Codes], fps: Fraction) -> None:
    """Writes a table of left-out frames: clip, from and to in seconds, frames, reason."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("clip", "from", "to", "frames", "reason"))
        for name, codes in clips.items():
            for first, stop, reason in _parts(codes):
                seconds = (f"{float(t / fps):.3f}" for t in (first, stop))
                table.writerow((name, *seconds, stop - first, reason))


def _parts(codes: Codes) -> Iterator[tuple[int, int, str]]:
    """Yields the first frame, the one after the last, and the reason of every left-out run."""
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for first, stop in itertools.pairwise(edges):
        if codes[first]:
            yield first, stop, REASONS[codes[first]]


def clock(frame: int, fps: Fraction) -> str:
    """Formats a frame's time as minutes and seconds, with one or two decimals."""
    hundredths = int(frame / fps * 100)
    time = f"{hundredths // 6000:02d}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"
    return time.removesuffix("0")
