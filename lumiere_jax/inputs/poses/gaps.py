"""Frames where nobody, or not the whole person, is found: how many may be, and what they get."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from tqdm import tqdm

from lumiere_jax.errors import UserError

MOST = 0.1
"""The share of frames without a person that a clip may have."""
FLICKER = Fraction(1, 6)
"""Seconds for which a hand or the face may vanish and still be taken as there."""
_PARTS = (slice(0, 25), slice(25, 95), slice(95, 116), slice(116, 137))


def runs(flags: Bool[np.ndarray, "frames"]) -> Iterator[tuple[int, int]]:
    """The first frame and the one after the last of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _time(frame: int, fps: Fraction) -> str:
    tenths = int(frame / fps * 10)
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def check(
    found: Bool[np.ndarray, "frames"], fps: Fraction, clip: Path, wanted: str = "pose"
) -> None:
    """Raises UserError if more than 10% of the frames, or more than a second on end, have none;
    says the number of such frames otherwise."""
    missing = int((~found).sum())
    gaps = list(runs(~found))
    long = [gap for gap in gaps if gap[1] - gap[0] > fps]
    if long or missing > MOST * len(found):
        worst = sorted(sorted(long or gaps, key=lambda gap: gap[0] - gap[1])[:5])
        times = ", ".join(f"{_time(a, fps)} to {_time(b, fps)}" for a, b in worst)
        raise UserError(
            f"{clip}: no {wanted} is found in {missing} of {len(found)} frames (at {times}); "
            "cut these times out, or choose another --crop."
        )
    if missing:
        tqdm.write(f"{clip}: {missing} of {len(found)} frames take a neighbour's {wanted}.")


def nearest(found: Bool[np.ndarray, "frames"]) -> Int[np.ndarray, "frames"]:
    """The nearest frame with a person for every frame, the earlier of two."""
    there = np.flatnonzero(found)
    place = np.searchsorted(there, np.arange(len(found)))
    after = there[np.minimum(place, len(there) - 1)]
    before = there[np.maximum(place - 1, 0)]
    frame = np.arange(len(found))
    return np.where(np.abs(frame - before) <= np.abs(after - frame), before, after)


def fill(
    keypoints: Float[np.ndarray, "frames 137 3"], found: Bool[np.ndarray, "frames"], fps: Fraction
) -> None:
    """Fills gaps in place, part by part, linearly between the frames on either side.

    Frames without a person are always filled, at the clip's ends with the nearest pose. A part that
    is missing while the person is there is filled when it flickers (for up to a sixth of a second);
    for longer it is out of sight, and stays absent.
    """
    for part in _PARTS:
        absent = keypoints[:, part, 2].max(1) <= 0
        for start, end in runs(absent):
            nobody = not found[start:end].any()
            sides = [keypoints[t, part].copy() for t in (start - 1, end) if 0 <= t < len(found)]
            flicker = len(sides) == 2 and end - start <= FLICKER * fps
            if not sides or not (nobody or flicker):
                continue
            before, after = sides[0], sides[-1]
            # A point that is known on one side only is taken from there.
            before, after = (
                np.where(one[:, 2:] > 0, one, other)
                for one, other in ((before, after), (after, before))
            )
            share = np.linspace(0, 1, end - start + 2, dtype=np.float32)[1:-1, None, None]
            keypoints[start:end, part] = (1 - share) * before + share * after
