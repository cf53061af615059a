"""The skeleton of a person: limbs, fingers and features of the face as coloured lines.

Follows vid2vid's drawing of OpenPose keypoints: a black picture, OpenPose's limb colours at 0.6,
five hues for the fingers, a white face without its jaw line, eyes and lips as quadratic curves, and
the mean of the colours where limbs cross.
"""

from functools import cache

import cv2
import numpy as np
from jaxtyping import Float

from lumiere_jax.keypoints import FACE, LEFT_HAND, RIGHT_HAND
from lumiere_jax.shapes import Picture

_LIMBS = (
    [(17, 15), (15, 0), (0, 16), (16, 18), (0, 1), (1, 8)]
    + [(1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7)]
    + [(8, 9), (9, 10), (10, 11), (8, 12), (12, 13), (13, 14)]
    + [(11, 24), (11, 22), (22, 23), (14, 21), (14, 19), (19, 20)]
)
_LIMB_COLOURS = (
    [(153, 0, 153), (153, 0, 102), (102, 0, 153), (51, 0, 153), (153, 0, 51), (153, 0, 0)]
    + [(153, 51, 0), (153, 102, 0), (153, 153, 0), (102, 153, 0), (51, 153, 0), (0, 153, 0)]
    + [(0, 153, 51), (0, 153, 102), (0, 153, 153), (0, 102, 153), (0, 51, 153), (0, 0, 153)]
    + [(0, 153, 153)] * 3
    + [(0, 0, 153)] * 3
)
_LINES = [range(17, 22), range(22, 27), range(27, 31), range(31, 36)]
_CURVES = [
    *((36, 37, 38, 39), (39, 40, 41, 36), (42, 43, 44, 45), (45, 46, 47, 42)),
    *((48, 49, 50, 51), (51, 52, 53, 54), (54, 55, 56, 57), (57, 58, 59, 48)),
    *((60, 61, 62), (62, 63, 64), (64, 65, 66), (66, 67, 60)),
]
_SHIFT = 6


@cache
def _finger_colours() -> list[tuple[int, ...]]:
    # cv2 counts hues in steps of two degrees.
    hues = np.array([[[36 * finger, 255, 204] for finger in range(5)]], np.uint8)
    return [tuple(map(int, colour)) for colour in cv2.cvtColor(hues, cv2.COLOR_HSV2RGB)[0]]


def _quadratic(points: np.ndarray) -> np.ndarray:
    """Fits a quadratic Bézier curve from the first to the last point to those between."""
    first, last, inner = points[0], points[-1], points[1:-1]
    t = np.linspace(0, 1, len(points))[1:-1, None]
    middle = 2 * t * (1 - t)
    control = (middle * (inner - (1 - t) ** 2 * first - t**2 * last)).sum(0) / (middle**2).sum()
    t = np.linspace(0, 1, 9)[:, None]
    return (1 - t) ** 2 * first + 2 * t * (1 - t) * control + t**2 * last


def _strokes(points: np.ndarray, seen: np.ndarray) -> list[tuple]:
    """Lists strokes: colour, lines in pixels, half width and radius of the ends at 512 px."""
    strokes: list[tuple] = [
        (colour, [points[[a, b]]], 3, 6)
        for (a, b), colour in zip(_LIMBS, _LIMB_COLOURS, strict=True)
        if seen[a] and seen[b]
    ]
    face = [FACE.start + np.array(line) for line in (*_LINES, *_CURVES)]
    curved = [False] * len(_LINES) + [True] * len(_CURVES)
    lines = [
        _quadratic(points[part]) if quadratic else points[part]
        for part, quadratic in zip(face, curved, strict=True)
        if seen[part].all()
    ]
    strokes.append(((255, 255, 255), lines, 1, 0))
    for root in (LEFT_HAND.start, RIGHT_HAND.start):
        for finger, colour in enumerate(_finger_colours()):
            chain = [root, *range(root + 1 + 4 * finger, root + 5 + 4 * finger)]
            bones = [
                points[[a, b]]
                for a, b in zip(chain[:-1], chain[1:], strict=True)
                if seen[a] and seen[b]
            ]
            strokes.append((colour, bones, 1, 2))
    return strokes


def draw_skeleton(keypoints: Float[np.ndarray, "137 3"], size: int) -> Picture:
    """Draws the skeleton, (size, size, 3), of one person's keypoints.

    A limb needs both its ends, with a confidence above 0.01 (above 0.1 in the face).
    """
    points = np.clip(keypoints[:, :2].astype(np.float64), -4, 5) * size - 0.5
    seen = keypoints[:, 2] > 0.01
    seen[FACE] = keypoints[FACE, 2] > 0.1
    total, weight = np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.float32)
    for colour, lines, half_width, radius in _strokes(points, seen):
        if not lines:
            continue
        # Only the box around the stroke is touched: most are small.
        ends = np.concatenate(lines)
        margin = 2 + radius * size / 256
        low = np.clip(np.floor(ends.min(0) - margin), 0, size).astype(int)
        high = np.clip(np.ceil(ends.max(0) + margin), 0, size).astype(int)
        if (low >= high).any():
            continue
        box = slice(low[1], high[1]), slice(low[0], high[0])
        share = np.zeros((high - low)[::-1], np.uint8)
        fixed = [np.rint((line - low) * (1 << _SHIFT)).astype(np.int32) for line in lines]
        thickness = max(1, round(half_width * size / 256))
        cv2.polylines(share, fixed, False, 255, thickness, cv2.LINE_AA, _SHIFT)
        for line in fixed if radius else ():
            for x, y in line[[0, -1]].tolist():
                extent = round(radius * size / 512 * (1 << _SHIFT))
                cv2.circle(share, (x, y), extent, 255, -1, cv2.LINE_AA, _SHIFT)
        share = share / np.float32(255)
        weight[box] += share
        total[box] += share[..., None] * np.float32(colour)
    return np.rint(total / np.maximum(weight, 1)[..., None]).astype(np.uint8)
