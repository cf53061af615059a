"""Hands of the dense figure."""

import cv2
import numpy as np

from lumiere_jax.figures.uv_cells import SHIFT, Cells, fill_capsules, fixed_point

_FINGER_BONES = np.array([1 + 4 * f + i for f in (0, 4, 3, 2, 1) for i in range(3)])
_FINGER_U = np.repeat([0.6, 0.2, 0.8, 0.4, 1.0], 3)  # neighbours far apart
_PALM = [0, 1, 5, 9, 13, 17]


def draw_hand(
    cells: Cells, part: int, points: np.ndarray, seen: np.ndarray, explicit: bool
) -> None:
    """Paints the palm and five fingers.

    U names the finger (palm 0, thumb 0.6, then 1, 0.4, 0.8, 0.2). V runs from the wrist (0) over
    the knuckles (0.5) to the finger's tip (1). Without `explicit` fingers, the hull of all points
    is painted like the palm.
    """
    breadth = max(np.hypot(*(points[9] - points[0])), np.hypot(*(points[5] - points[17])))
    width = max(0.21 * float(breadth), 1.0)
    if seen[_PALM].all():
        axis = points[[5, 9, 13, 17]].mean(0) - points[0]
        slope = 0.5 * axis / max(float(axis @ axis), 1e-3)
        number = cells.add(part, np.array([(0, 0, 0), (*slope, -slope @ points[0])]))
        spanned = points[_PALM] if explicit else points[seen]
        outline = fixed_point(cv2.convexHull(spanned.astype(np.float32))[:, 0])
        cv2.fillConvexPoly(cells.index, outline, number, cv2.LINE_8, SHIFT)
        cv2.polylines(
            cells.index, [outline], True, number, max(1, round(width / 2)), cv2.LINE_8, SHIFT
        )
    if not explicit:
        return
    whole = seen[_FINGER_BONES] & seen[_FINGER_BONES + 1]
    bones, u = _FINGER_BONES[whole], _FINGER_U[whole]
    joint = (bones - 1)[:, None] % 4 + np.array([0, 1])
    widths = width * (1 - 0.12 * joint)
    along = 0.5 + 0.5 / 3 * joint
    first = len(cells.parts)
    fill_capsules(cells, part, points[bones], points[bones + 1], widths, along, np.stack([u, u], 1))
    cells.affine[first:] = [affine[::-1] for affine in cells.affine[first:]]
