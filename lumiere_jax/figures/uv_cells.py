"""Cells of a dense figure: areas with a body part and an affine map to (U, V)."""

from dataclasses import dataclass, field

import cv2
import numpy as np

SHIFT = 6  # fractional bits of cv2's coordinates


@dataclass
class Cells:
    """A map of cell numbers, painted in order, with each cell's part and affine (U, V)."""

    index: np.ndarray
    parts: list[int] = field(default_factory=lambda: [0])
    affine: list[np.ndarray] = field(default_factory=lambda: [np.zeros((2, 3))])

    def add(self, part: int, affine: np.ndarray) -> int:
        self.parts.append(part)
        self.affine.append(affine)
        return len(self.parts) - 1

    def colours(self) -> np.ndarray:
        figure = np.zeros((*self.index.shape, 3), np.uint8)
        y, x = np.nonzero(self.index)
        cells = self.index[y, x]
        maps = np.asarray(self.affine, np.float32)[cells]
        uv = maps[:, :, 0] * x[:, None] + maps[:, :, 1] * y[:, None] + maps[:, :, 2]
        figure[y, x, 1::-1] = np.rint(255 * np.clip(uv, 0, 1)).astype(np.uint8)
        figure[y, x, 2] = np.rint(np.asarray(self.parts) * (255 / 24)).astype(np.uint8)[cells]
        return figure


def fixed_point(points: np.ndarray) -> np.ndarray:
    """Rounds coordinates to the fixed point numbers that cv2 draws with."""
    return np.rint(points * (1 << SHIFT)).astype(np.int32)


def fill_mesh(
    cells: Cells, part: int, points: np.ndarray, uv: np.ndarray, triangles: np.ndarray
) -> None:
    """Paints triangles with barycentric (U, V).

    Points are in pixels (n, 2), uv is (n, 2), triangles are (m, 3).
    """
    corners = np.concatenate([points, np.ones((len(points), 1))], 1)[triangles]
    a, b, c = points[triangles].transpose(1, 0, 2)
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    flat = np.abs(area) < 1e-3
    corners[flat] = np.eye(3)  # seen edge on: no area, and no inverse
    affine = (np.linalg.inv(corners) @ uv[triangles]).transpose(0, 2, 1)
    fixed = fixed_point(points)
    for i in np.flatnonzero(~flat):
        number = cells.add(part, affine[i])
        cv2.fillConvexPoly(cells.index, fixed[triangles[i]], number, cv2.LINE_8, SHIFT)


def fill_capsules(cells: Cells, part: int, start, end, widths, along, across) -> None:
    """Paints n tapered limbs with round ends.

    All arguments are (n, 2): start, end, widths (at both), and the ranges of (U, V), `along` and
    `across`.
    """
    axis = end - start
    length = np.maximum(np.hypot(*axis.T), 1e-3)[:, None]
    axis = axis / length
    normal = axis[:, ::-1] * (-1, 1)
    u = (along[:, 1:] - along[:, :1]) / length * axis
    v = (across[:, 1:] - across[:, :1]) / np.maximum(widths.sum(1, keepdims=True), 1e-3) * normal
    maps = np.stack([u, v], 1)
    origin = np.stack([along[:, 0], across.mean(1)], 1) - (maps @ start[:, :, None])[:, :, 0]
    affine = np.concatenate([maps, origin[:, :, None]], 2)
    side = normal[:, None] * widths[:, :, None] / 2
    first, last = (
        start[:, None] + side[:, :1] * ((1,), (-1,)),
        end[:, None] - side[:, 1:] * ((1,), (-1,)),
    )
    quads = fixed_point(np.concatenate([first, last], 1))
    centres, radii = (
        fixed_point(np.stack([start, end], 1)).tolist(),
        fixed_point(widths / 2).tolist(),
    )
    for i, quad in enumerate(quads):
        number = cells.add(part, affine[i])
        cv2.fillConvexPoly(cells.index, quad, number, cv2.LINE_8, SHIFT)
        for centre, radius in zip(centres[i], radii[i], strict=True):
            cv2.circle(cells.index, centre, radius, number, -1, cv2.LINE_8, SHIFT)
