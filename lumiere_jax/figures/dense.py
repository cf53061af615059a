"""The dense figure of a person: a part index and surface coordinates as colour, like DensePose's.

A figure is painted from cells: areas of one part with an affine map from the picture to the surface
coordinates (U, V). Blue is the part, green U, red V, and the background is black. The parts are
DensePose's where it has them: 2 torso and neck, 3 and 4 the right and left hand, 15 and 16 upper
arms, 19 and 20 forearms (left, right), 24 the face. The rest of the silhouette is 23 near the head
(hair) and 1 elsewhere (clothes). Areas of parts are never blended with each other.

Unlike the paper's figures, these show fingers and features explicitly: fingers have coordinates of
their own, and the features of the face are painted over its part (see `lumiere_jax.figures.face`).
"""

import numpy as np
from jaxtyping import Bool, Float

from lumiere_jax import keypoints as places
from lumiere_jax.figures.face import MOUTH, mean_face, paint_features, with_forehead
from lumiere_jax.figures.hands import draw_hand
from lumiere_jax.figures.uv_cells import Cells, fill_capsules, fill_mesh
from lumiere_jax.shapes import Picture

__all__ = ["MOUTH", "draw_figure"]

CLOTHES, TORSO, RIGHT_HAND, LEFT_HAND, HAIR, FACE = 1, 2, 3, 4, 23, 24
UPPER_ARM_L, UPPER_ARM_R, FOREARM_L, FOREARM_R = 15, 16, 19, 20
_SURE = 0.2  # body points that an estimator only guesses are below this


def _limb(cells: Cells, part: int, start, end, widths) -> None:
    unit = np.array([(0.0, 1.0)])
    fill_capsules(cells, part, start[None], end[None], np.array([widths]), unit, unit)


def _frame(origin: np.ndarray, right: np.ndarray, reach: float) -> np.ndarray:
    """Returns the affine (U, V) of a similarity with `origin` at the middle.

    A border is `reach` lengths of `right` away.
    """
    unit = right / max(float(right @ right), 1e-6) / (2 * reach)
    u = np.array([*unit, 0.5 - unit @ origin])
    v = np.array([-unit[1], unit[0], 0.5 - np.array([-unit[1], unit[0]]) @ origin])
    return np.stack([u, v])


def _silhouette(cells: Cells, mask: np.ndarray, body, sure, face) -> None:
    """Paints clothes in coordinates of the shoulders, and hair in those of the head.

    Hair is the part of the silhouette that is nearer to the face than to neck and shoulders.
    """
    size = len(mask)
    whole = np.array([size / 2, size / 2]), np.array([size / 2, 0.0])
    origin, right = (body[1], body[5] - body[2]) if sure[[1, 2, 5]].all() else whole
    clothes = cells.add(CLOTHES, _frame(origin, right, 1.5))
    cells.index[mask] = clothes
    if face is None:
        return
    centre = face[27:36].mean(0)
    hair = cells.add(HAIR, _frame(centre, face[16] - face[0], 1.5))
    below = body[[1, 2, 5]][sure[[1, 2, 5]]] if sure[[1, 2, 5]].any() else face[[8]]
    y, x = np.nonzero(mask)
    distance = [(x - point[0]) ** 2 + (y - point[1]) ** 2 for point in (centre, *below)]
    near = distance[0] < np.min(distance[1:], 0)
    cells.index[y[near], x[near]] = hair


def _trust(confidence):
    """Maps confidence to a weight: 0 where a body point is not drawn, 1 where it is sure."""
    return np.clip((confidence - _SURE) / 0.4, 0, 1)


def _trunk(cells: Cells, body: np.ndarray, confidence: np.ndarray, face) -> None:
    """Paints torso and neck; estimates guessed hips from the shoulders by proportion."""
    right, left = body[2], body[5]
    shoulders = left - right
    down = np.array([-shoulders[1], shoulders[0]])
    hips = body[[9, 12]]
    guess = np.stack([right + 0.12 * shoulders, left - 0.12 * shoulders]) + 1.5 * down
    trust = _trust(confidence[[9, 12]])[:, None]
    hips = trust * hips + (1 - trust) * guess
    points = np.concatenate([[right, left], hips])
    uv = np.array([(0, 0.2), (1, 0.2), (0, 1), (1, 1.0)])
    fill_mesh(cells, TORSO, points, uv, np.array([(0, 1, 2), (1, 3, 2)]))
    if face is not None:
        # Reaches into the face, which is painted over it, and into the torso by its radius.
        wide = 0.6 * float(np.hypot(*(face[16] - face[0])))
        base = face[8] + 0.75 * (body[1] - face[8])
        _limb(cells, TORSO, base, face[8], (1.1 * wide, wide))
        u, v = cells.affine[-1]
        cells.affine[-1] = np.stack([v, 0.2 * (np.array([0, 0, 1]) - u)])


def draw_figure(
    keypoints: Float[np.ndarray, "137 3"],
    size: int,
    silhouette: Bool[np.ndarray, "rows cols"] | None = None,
    explicit: bool = True,
) -> Picture:
    """Draws the dense figure, (size, size, 3), of one person.

    Widths follow the person and the size of the picture.

    Args:
      keypoints: Points of confidence 0, and body points below 0.2, are not drawn.
      size: Rows and cols of the figure.
      silhouette: The person's pixels; None draws neither hair nor clothes.
      explicit: Whether to draw eyes, brows, lips, mouth and fingers, which the paper's figures
        lack.
    """
    # Pixel centres are whole numbers; the clip keeps far-off points within cv2's integers.
    points = np.clip(keypoints[:, :2].astype(np.float64), -4, 5) * size - 0.5
    confidence = keypoints[:, 2]
    body, sure = points[places.BODY], confidence[places.BODY] >= _SURE
    face, seen = points[places.FACE], confidence[places.FACE] > 0
    oval = face if seen[[0, 8, 16, *range(17, 36)]].all() else None
    cells = Cells(np.zeros((size, size), np.int32))
    if silhouette is not None:
        _silhouette(cells, silhouette, body, sure, oval)
    breadth = float(np.hypot(*(body[5] - body[2]))) if sure[[2, 5]].all() else 0.25 * size
    if sure[[1, 2, 5]].all():
        _trunk(cells, body, confidence, oval)
    arm = 0.3 * max(breadth, 0.1 * size)
    for shoulder, elbow, part in ((2, 3, UPPER_ARM_R), (5, 6, UPPER_ARM_L)):
        if sure[[shoulder, elbow]].all():
            # Widens with the elbow's confidence, since elbows come and go at the picture's border.
            trust = arm * _trust(confidence[elbow])
            _limb(cells, part, body[shoulder], body[elbow], (trust, 0.8 * trust))
    if seen[places.LANDMARKS].any():
        mean, triangles = mean_face(expression=explicit)
        whole = np.concatenate([seen[places.LANDMARKS], np.repeat(seen[[8, 17, 26]].all(), 7)])
        span = np.ptp(mean, axis=0)
        uv = (mean - mean.min(0)) / span
        shown = triangles[whole[triangles].all(1)]
        fill_mesh(cells, FACE, with_forehead(face[places.LANDMARKS]), uv, shown)
    behind = len(cells.parts)
    left, right = places.LEFT_HAND.start, places.RIGHT_HAND.start
    for elbow, wrist, hand, part in ((3, 4, right, FOREARM_R), (6, 7, left, FOREARM_L)):
        # Prefers the hand's own wrist where it is known, so that the forearm meets the palm.
        end = hand if confidence[hand] > 0 else wrist
        if sure[elbow] and (end == hand or sure[wrist]):
            trust = arm * _trust(confidence[[elbow, end]].min())
            _limb(cells, part, body[elbow], points[end], (0.8 * trust, 0.5 * trust))
    for hand, part in ((places.LEFT_HAND, LEFT_HAND), (places.RIGHT_HAND, RIGHT_HAND)):
        draw_hand(cells, part, points[hand], confidence[hand] > 0, explicit)
    figure = cells.colours()
    if explicit and seen.any():
        paint_features(figure, face, seen, cells.index >= behind)
    return figure
