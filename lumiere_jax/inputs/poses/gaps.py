"""Gaps in poses: which frames are left out, and what fills the others."""

from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float, Int

from lumiere_jax.inputs.dataset.left_out_frames import runs
from lumiere_jax.keypoints import PARTS

FLICKER = Fraction(1, 6)
"""Seconds for which a hand, the face or the person may vanish and still count as present."""


def lost(found: Bool[np.ndarray, " frames"], fps: Fraction) -> Bool[np.ndarray, " frames"]:
    """Frames of gaps that are too long to be filled."""
    long = np.zeros(len(found), bool)
    for start, end in runs(~found):
        long[start:end] = end - start > FLICKER * fps
    return long


def nearest(found: Bool[np.ndarray, " frames"]) -> Int[np.ndarray, " frames"]:
    """The nearest frame with a person for every frame, the earlier of two; itself where there is
    no person at all."""
    there = np.flatnonzero(found)
    if not len(there):
        return np.arange(len(found))
    place = np.searchsorted(there, np.arange(len(found)))
    after = there[np.minimum(place, len(there) - 1)]
    before = there[np.maximum(place - 1, 0)]
    frame = np.arange(len(found))
    return np.where(np.abs(frame - before) <= np.abs(after - frame), before, after)


def fill(
    keypoints: Float[np.ndarray, "frames 137 3"], found: Bool[np.ndarray, " frames"], fps: Fraction
) -> None:
    """Fills gaps in place, part by part, linearly between the frames on either side.

    Frames without a person are always filled, at the clip's ends with the nearest pose. A part that
    is missing while the person is there is filled if it flickers (for up to a sixth of a second);
    otherwise it is out of sight, and stays absent.
    """
    for part in PARTS:
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
