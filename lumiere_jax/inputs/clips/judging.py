"""Detection of pictures that stand still, are blank, fade or show another scene.

It compares thumbnails of 3 KB, small enough to hold those of a whole clip.
"""

import itertools
from fractions import Fraction

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import median_filter

from lumiere_jax.inputs.dataset.left_out_frames import BLANK, FROZEN, KEPT, SCENE, Codes, runs
from lumiere_jax.shapes import Picture

Thumbnails = UInt8[np.ndarray, "frames 32 32 3"]

THUMBNAIL = 32
# Seconds for which a picture may stand still.
STILL = Fraction(1, 2)
# Levels by which coding changes the thumbnail of a frozen picture. People change it by more.
SAME_LEVELS = 2
# A picture is blank below BLANK_SHARE of the clip's usual contrast. In a fade, contrast rises by
# more than `RISING` within `AHEAD` seconds; people who move change it by less. A fade ends where
# contrast rises by less than `RISEN`.
BLANK_SHARE, RISING, RISEN, AHEAD = 0.05, 0.05, 0.02, Fraction(1, 6)
# A clip that begins or ends in the middle of a fade has lost half of its contrast there.
HALF = 0.5
# Correlations with the longest scene. People who move stay over 0.85, other scenes are under 0.4.
# A frame under `ALIKE` shows another scene, if one within `DISSOLVE` seconds before or after is
# over `STAYED`. Frames over `NEARLY` have hardly anything mixed in.
ALIKE, STAYED, NEARLY, DISSOLVE = 0.6, 0.8, 0.9, 1
# A cut changes the picture SUDDEN times as much as usual in AROUND seconds on either side.
SUDDEN, AROUND = 4, Fraction(1, 2)
# Frames compared at a time.
BLOCK = 4096


def thumbnail(picture: Picture) -> UInt8[np.ndarray, "32 32 3"]:
    """Averages the picture over 32 x 32 areas."""
    return cv2.resize(picture, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)


def judge(thumbnails: Thumbnails, fps: Fraction) -> Codes:
    """Returns codes of frames that stand still, are blank, fade or show another scene."""
    codes = np.zeros(len(thumbnails), np.uint8)
    if not len(codes):
        return codes
    contrast = np.array([picture.mean(2).std() for picture in thumbnails])
    contrast[contrast < 1] = 0  # what remains of one colour is rounding and noise
    usual = np.quantile(contrast[contrast > 0], 0.9) if contrast.any() else 0.0
    blank = contrast < BLANK_SHARE * usual
    codes[_frozen(thumbnails, fps)] = FROZEN
    codes[blank | _fading(contrast, blank, fps)] = BLANK
    if len(seen := np.flatnonzero(codes == KEPT)):
        codes[seen[_other_scenes(thumbnails, seen, fps)]] = SCENE
    return codes


def _frozen(thumbnails: Thumbnails, fps: Fraction) -> Bool[np.ndarray, " frames"]:
    """Frames that repeat a picture which stands still; the first of these is none of them."""
    frozen = np.zeros(len(thumbnails), bool)
    first = 0
    for t in range(1, len(thumbnails) + 1):
        if t < len(thumbnails) and _apart(thumbnails[first], thumbnails[t]) <= SAME_LEVELS:
            continue
        frozen[first + 1 : t] = t - first >= STILL * fps
        first = t
    return frozen


def _apart(a: np.ndarray, b: np.ndarray) -> int:
    """Returns the largest difference of two thumbnails, in levels."""
    return int(np.abs(a.astype(np.int16) - b).max())


def _fading(
    contrast: Float[np.ndarray, " frames"], blank: Bool[np.ndarray, " frames"], fps: Fraction
) -> Bool[np.ndarray, " frames"]:
    """Frames next to blank ones, or to the clip's ends, while contrast goes up or down."""
    fading = np.zeros(len(contrast), bool)
    for way in (slice(None), slice(None, None, -1)):  # a fade-out is sought backwards
        level, found = contrast[way], fading[way]
        end = _risen(level, 0, fps)
        if level[0] < HALF * level[end]:
            found[:end] = True
        for _, stop in runs(blank[way]):
            found[stop : _risen(level, stop, fps)] = True
    return fading


def _risen(contrast: Float[np.ndarray, " frames"], first: int, fps: Fraction) -> int:
    """The frame at which contrast, which rises from `first` on, has risen; `first` if it does not
    rise."""
    ahead, t = max(1, round(AHEAD * fps)), first
    while t < len(contrast) - 1:
        least = RISING if t == first else RISEN
        if contrast[t] >= (1 - least) * contrast[t + 1 : t + 1 + ahead].max():
            break
        t += 1
    return t


def _other_scenes(
    thumbnails: Thumbnails, seen: np.ndarray, fps: Fraction
) -> Bool[np.ndarray, " seen"]:
    """Frames that do not look like the scene which lasts longest, cut to or dissolved to.

    A slow departure from the scene, as by a moving camera, is not flagged.
    """
    looks = _looks(thumbnails, seen)
    likeness = looks @ _longest_scene(looks, fps)
    other = np.zeros(len(looks), bool)
    second = round(DISSOLVE * fps)
    for first, stop in runs(likeness < ALIKE):
        before, after = likeness[max(first - second, 0) : first], likeness[stop : stop + second]
        if max(before.max(initial=0), after.max(initial=0)) >= STAYED:
            other[first - _mixed(before[::-1]) : stop + _mixed(after)] = True
    return other


def _mixed(likeness: Float[np.ndarray, " frames"]) -> int:
    """How many frames beside another scene are still mixed with it, from their likeness outwards.

    `likeness` runs outwards from that scene. A mixture of two unlike scenes is at `ALIKE` with 57%
    of the other one and at `NEARLY` with 33%; the rest of a dissolve takes about as long again.
    """
    quarter = likeness[: len(likeness) // 4] < NEARLY
    return 2 * int(np.cumprod(quarter).sum())


def _longest_scene(
    looks: Float[np.ndarray, "seen 768"], fps: Fraction
) -> Float[np.ndarray, " 768"]:
    """Returns the mean look of the similar shots that last longest together.

    A shot begins where a frame suddenly differs from the one before, or from the one before that:
    encoders may mix two scenes in one frame.
    """
    sudden = _sudden(looks, 1, fps) | _sudden(looks, 2, fps)
    cuts = [0, *(np.flatnonzero(sudden[1:]) + 1).tolist(), len(looks)]
    lengths = np.diff(cuts)
    means = _unit(np.stack([looks[a:b].mean(0) for a, b in itertools.pairwise(cuts)]))
    alike = means @ means.T >= ALIKE
    np.fill_diagonal(alike, True)
    main = alike[np.argmax(alike @ lengths)]
    scene = _unit((main * lengths @ means)[None])[0]
    # A shot that ends in a dissolve averages two scenes; only the longer one counts.
    same = looks @ scene >= ALIKE
    return _unit(looks[same].mean(0)[None])[0] if same.any() else scene


def _sudden(
    looks: Float[np.ndarray, "seen 768"], apart: int, fps: Fraction
) -> Bool[np.ndarray, " seen"]:
    """Frames that differ from the one so many frames before by far more than others around them."""
    before = np.maximum(np.arange(len(looks)) - apart, 0)
    steps = np.ones(len(looks))
    for first in range(0, len(looks), BLOCK):
        rows = slice(first, first + BLOCK)
        steps[rows] -= (looks[rows] * looks[before[rows]]).sum(1)
    usual = median_filter(steps, 2 * round(AROUND * fps) + 1, mode="nearest")
    return (steps > 1 - ALIKE) & (steps > SUDDEN * usual)


def _looks(thumbnails: Thumbnails, seen: np.ndarray) -> Float[np.ndarray, "seen 768"]:
    """Halves and normalises thumbnails, so that the dot product of two is their correlation."""
    half = THUMBNAIL // 2
    looks = np.empty((len(seen), half * half * 3), np.float32)
    for row, t in zip(looks, seen, strict=True):
        row[:] = cv2.resize(thumbnails[t], (half, half), interpolation=cv2.INTER_AREA).ravel()
        row -= row.mean()
        row /= max(float(np.linalg.norm(row)), 1e-6)
    return looks


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
