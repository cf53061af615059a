"""A face: its mean landmarks, its mesh, and the features painted over the mesh.

Eyes, irises, brows, lips and the open mouth are weighted by the exact share of each pixel that they
cover. So an opening of half a pixel shows. The paper names their absence as the weakness of its
figures (section 5, Kim and Ganapathi 2019). Points are in pixels, whole at their centres.
"""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from scipy.spatial import Delaunay

from lumiere_jax.keypoints import (
    CHIN,
    INNER_LIPS,
    LEFT_EYE,
    LEFT_PUPIL,
    NOSE_BRIDGE,
    OUTER_LIPS,
    RIGHT_EYE,
    RIGHT_PUPIL,
)

MOUTH, LIPS, LIDS, EYES, IRISES, BROWS = (
    (64, 0, 0),
    (255, 40, 40),
    (0, 40, 0),
    (255, 255, 255),
    (0, 0, 96),
    (0, 90, 0),
)
"""RGB of painted features; each is far from the face's own colours, whose blue is 255."""


_SHIFT = 6  # fractional bits of cv2's coordinates
_FINE = 8  # samples along each side of a pixel in painted features


@cache
def mean_face(expression: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Returns the landmarks and the mesh of a generic frontal face.

    Args:
      expression: Whether the mesh has corners at the eyes and the lips, and moves with them.

    Returns:
      68 landmarks and the forehead's points, (75, 2), in face widths from the eyes' middle; and the
        triangles of their Delaunay mesh, (n, 3).
    """
    right = np.array(
        # jaw from the ear to beside the chin, brow, eye, half of the nose's base, half of the lips
        [(-0.5, 0), (-0.495, 0.13), (-0.475, 0.26), (-0.445, 0.38)]
        + [(-0.395, 0.5), (-0.315, 0.6), (-0.22, 0.68), (-0.115, 0.735)]
        + [(-0.43, -0.1), (-0.36, -0.145), (-0.27, -0.16), (-0.175, -0.145), (-0.09, -0.115)]
        + [(-0.315, 0.01), (-0.26, -0.025), (-0.19, -0.025), (-0.135, 0.012)]
        + [(-0.19, 0.03), (-0.26, 0.03), (-0.1, 0.335), (-0.05, 0.35)]
        + [(-0.2, 0.5), (-0.125, 0.465), (-0.05, 0.445), (-0.06, 0.575), (-0.125, 0.545)]
        + [(-0.175, 0.5), (-0.06, 0.488), (-0.06, 0.512)]
    )
    left = right * (-1, 1)
    middle = np.array(
        [(0, y) for y in (0.75, 0, 0.095, 0.19, 0.285, 0.36, 0.455, 0.58, 0.49, 0.512)]
    )
    chin, bridge, base, lips = middle[:1], middle[1:5], middle[5:6], middle[6:]
    points = np.concatenate(
        [right[:8], chin, left[7::-1], right[8:13], left[12:7:-1], bridge]
        + [right[19:21], base, left[20:18:-1], right[13:19]]
        + [left[[16, 15, 14, 13, 18, 17]]]
        + [right[21:24], lips[:1], left[[23, 22, 21, 25, 24]], lips[1:2], right[24:26]]
        + [right[26:28], lips[2:3], left[[27, 26, 28]], lips[3:], right[28:29]]
    )
    points = with_forehead(points)
    corners = np.arange(75) if expression else np.r_[:36, 68:75]
    return points, corners[Delaunay(points[corners]).simplices]


def with_forehead(face: np.ndarray) -> np.ndarray:
    """Adds seven points of the hairline: the brows' points pushed away from the chin."""
    brows = np.concatenate(
        [face[[17, 18, 19]], face[21:23].mean(0, keepdims=True), face[[24, 25, 26]]]
    )
    push = np.array([0.13, 0.24, 0.32, 0.38, 0.32, 0.24, 0.13])[:, None]
    return np.concatenate([face, brows + push * (brows - face[CHIN])])


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


Draw = Callable[[np.ndarray, np.ndarray], None]


def _cover(figure: np.ndarray, points: np.ndarray, margin: float, *draws: Draw):
    """Computes the share of each pixel that all `draws` cover, in the box around `points`.

    Returns (rows, cols, share) with the box as slices, or None outside of the picture. Samples 8 x
    8 places per pixel, since cv2's own anti-aliasing draws a thin area as wide as a line.
    """
    low = np.maximum(np.floor(points.min(0) - margin).astype(int), 0)
    high = np.minimum(np.ceil(points.max(0) + margin).astype(int) + 1, figure.shape[1::-1])
    if (low >= high).any():
        return None
    width, height = map(int, high - low)
    share = None
    for draw in draws:
        patch = np.zeros((height * _FINE, width * _FINE), np.uint8)
        draw(patch, (np.asarray(points) - low + 0.5) * _FINE - 0.5)
        one = cv2.resize(patch, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255)
        share = one if share is None else np.minimum(share, one)
    return slice(low[1], high[1]), slice(low[0], high[0]), share


def _blend(figure, hidden, cover, colour) -> None:
    if cover is None:
        return
    rows, cols, share = cover
    share = np.where(hidden[rows, cols], 0, share)[..., None]
    area = figure[rows, cols]
    figure[rows, cols] = np.rint(area + share * (np.float32(colour) - area)).astype(np.uint8)


def _area(patch: np.ndarray, points: np.ndarray) -> None:
    cv2.fillPoly(patch, [_fixed(points)], 255, cv2.LINE_8, _SHIFT)


def _stroke(width: float, closed: bool) -> Draw:
    def draw(patch, points):
        thickness = max(1, round(width * _FINE))
        cv2.polylines(patch, [_fixed(points)], closed, 255, thickness, cv2.LINE_8, _SHIFT)

    return draw


def _disc(offset: np.ndarray, radius: float) -> Draw:
    """Makes a brush for a disc whose centre is `offset` pixels from the first point."""

    def draw(patch, points):
        x, y = _fixed(points[0] + offset * _FINE).tolist()
        cv2.circle(patch, (x, y), round(radius * _FINE * (1 << _SHIFT)), 255, -1, 8, _SHIFT)

    return draw


def paint_features(
    figure: np.ndarray, face: np.ndarray, seen: np.ndarray, hidden: np.ndarray
) -> None:
    """Paints brows, eyes with lids and irises, the lips' outline and the open mouth over a figure.

    Args:
      figure: RGB figure (rows, cols, 3), painted in place.
      face: The face's 70 points in pixels.
      seen: Which of the points are seen; a feature needs all of its points.
      hidden: Pixels (rows, cols) in front of the face, which stay as they are.
    """
    scale = max(
        float(np.hypot(*(face[CHIN] - face[NOSE_BRIDGE]))), 1e-3
    )  # eyes to chin: stable as the head turns
    line = max(0.03 * scale, 0.5)

    def paint(points, colour, draw=_area, margin=0.0):
        if seen[points].all():
            _blend(figure, hidden, _cover(figure, face[points], margin, draw), colour)

    for brow in (range(17, 22), range(22, 27)):
        paint(list(brow), BROWS, _stroke(1.6 * line, False), 2 * line)
    for part, pupil in ((RIGHT_EYE, RIGHT_PUPIL), (LEFT_EYE, LEFT_PUPIL)):
        first, eye = part.start, list(range(part.start, part.stop))
        paint(eye, EYES)
        if seen[eye].all() and seen[pupil]:
            radius = 0.22 * float(np.hypot(*(face[first + 3] - face[first])))
            iris = _disc(face[pupil] - face[first], radius)
            _blend(figure, hidden, _cover(figure, face[eye], 0.0, iris, _area), IRISES)
        paint(eye[:4], LIDS, _stroke(line, False), line)
    paint(list(range(OUTER_LIPS.start, OUTER_LIPS.stop)), LIPS, _stroke(1.2 * line, True), line)
    paint(list(range(INNER_LIPS.start, INNER_LIPS.stop)), MOUTH)
