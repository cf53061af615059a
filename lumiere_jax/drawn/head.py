"""The head: skin and nose painted once; eyes, brows and mouth painted for every frame."""

from dataclasses import dataclass

import numpy as np

from lumiere_jax.drawn import hair, paint, person
from lumiere_jax.drawn.person import Person

MOUTH_DARK = (36, 10, 14)
_TEETH, _TONGUE = (232, 227, 218), (126, 48, 52)


@dataclass(frozen=True)
class Head:
    back: paint.Sprite  # hair behind the shoulders
    face: paint.Sprite
    chin: paint.Sprite  # the face below the nose, which stretches as the jaw falls
    front: paint.Sprite  # hair over the brows


def build(who: Person, side: int) -> Head:
    back, front = hair.layers(who, side)
    face = _face(who, side)
    shadow = paint.blur(np.roll(front[..., 3] / 255, round(0.014 * side), 0), 0.010)
    paint.tint(face, 0.42 * shadow, who.skin_shadow)
    y = (np.arange(side, dtype=np.float32)[:, None, None] + 0.5) / side
    chin = face * np.clip((y - person.NOSE) / 0.012, 0, 1)
    return Head(paint.sprite(back), paint.sprite(face), paint.sprite(chin), paint.sprite(front))


def _face(who: Person, side: int) -> np.ndarray:
    layer = paint.empty(side)
    for x in (0.5 - who.cheek - 0.003, 0.5 + who.cheek + 0.003):
        ear = paint.mask(side, paint.ellipse(x, 0.322, 0.019, 0.036))
        paint.over(layer, ear, paint.shade(who.skin, paint.inflate(ear, 0.018) * 0.86))
        inner = paint.mask(side, paint.ellipse(x, 0.322, 0.009, 0.022), soft=0.004)
        paint.tint(layer, 0.5 * inner, who.skin_shadow)
    jaw = person.jaw(who)
    top = np.linspace(0, -np.pi, 15)[1:-1]
    dome = np.stack([0.5 + who.cheek * np.cos(top), person.EARS + 0.172 * np.sin(top)], 1)
    area = paint.mask(side, paint.curve(np.concatenate([jaw, dome])))
    y, x = (np.mgrid[0:side, 0:side].astype(np.float32) + 0.5) / side
    nx, ny = (x - 0.5) / (who.cheek * 1.10), (y - 0.32) / 0.215
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.02, 1))
    light = paint.LIGHT[0] * nx + paint.LIGHT[1] * ny + paint.LIGHT[2] * nz
    light = 0.62 * light + 0.38 * paint.inflate(area, 0.10, 0.4)
    paint.over(layer, area, paint.shade(who.skin, np.clip(0.14 + 0.92 * light, 0, 1)))
    _relief(layer, who)
    return layer


def _relief(layer: np.ndarray, who: Person) -> None:
    """Paints eye sockets, cheeks, nose and the hollows around the mouth."""
    side = len(layer)
    warm = tuple(
        int(0.62 * c + 0.38 * w) for c, w in zip(who.skin_tone, (216, 84, 74), strict=True)
    )
    light = tuple(int(c) for c in who.skin[255, :3])
    dark = who.skin_shadow
    n = who.nose

    def soft(colour, share, blurred, *shapes):
        paint.tint(layer, share * paint.mask(side, *shapes, soft=blurred), colour)

    for s in (-1, 1):
        eye = 0.5 + s * who.eye_gap
        soft(dark, 0.20, 0.012, paint.ellipse(eye, person.EYES - 0.012, 0.034, 0.017))
        soft(warm, 0.50, 0.020, paint.ellipse(0.5 + s * 0.078, 0.378, 0.033, 0.023, -0.3 * s))
        soft(dark, 0.16, 0.006, paint.ellipse(eye, person.EYES + 0.020, 0.024, 0.004))
    soft(light, 0.34, 0.018, paint.ellipse(0.475, 0.225, 0.055, 0.028))
    soft(light, 0.30, 0.010, paint.ellipse(0.43, 0.362, 0.020, 0.012))
    bridge = [(0.512, 0.290), (0.517, 0.33), (0.528 * n + 0.5 * (1 - n), 0.366), (0.507, 0.366)]
    soft(dark, 0.34, 0.006, paint.curve(bridge))
    soft(light, 0.55, 0.0045, paint.ellipse(0.497, 0.330, 0.0045, 0.032))
    soft(warm, 0.40, 0.008, paint.ellipse(0.5, 0.364, 0.020 * n, 0.012))
    soft(light, 0.65, 0.004, paint.ellipse(0.496, 0.359, 0.007, 0.005))
    under = [(0.5 - 0.026 * n, 0.369), (0.5, 0.376), (0.5 + 0.026 * n, 0.369), (0.5, 0.3835)]
    soft(dark, 0.50, 0.004, paint.curve(under))
    for s in (-1, 1):
        wing = [(0.5 + s * 0.022 * n, 0.353), (0.5 + s * 0.029 * n, 0.363)]
        wing += [(0.5 + s * 0.024 * n, 0.372)]
        crease = paint.lines(side, paint.curve(wing, closed=False), width=0.004, soft=0.002)
        paint.tint(layer, (0.55 if s > 0 else 0.35) * crease, dark)
        hole = paint.ellipse(0.5 + s * 0.0125 * n, 0.3715, 0.0065 * n, 0.003, 0.25 * s)
        soft(dark, 0.75, 0.002, hole)
        fold = [(0.5 + s * 0.036, 0.378), (0.5 + s * 0.054, 0.398), (0.5 + s * 0.060, 0.418)]
        fold = paint.lines(side, paint.curve(fold, closed=False), width=0.004, soft=0.005)
        paint.tint(layer, 0.22 * fold, dark)
    soft(dark, 0.26, 0.006, paint.ellipse(0.502, 0.446, 0.030, 0.006))
    soft(light, 0.24, 0.008, paint.ellipse(0.494, 0.466, 0.020, 0.009))


def paint_face(
    canvas: np.ndarray, who: Person, head: Head, affine: np.ndarray, drop: float
) -> None:
    """Paints skin and nose, with the chin `drop` lower."""
    paint.stamp(canvas, head.face, affine)
    factor = 1 + drop / (person.CHIN - person.NOSE)
    fall = np.array([(1, 0, 0), (0, factor, person.NOSE * (1 - factor))])
    moved = np.concatenate(
        [affine[:, :2] @ fall[:, :2], affine @ np.append(fall[:, 2], 1)[:, None]], 1
    )
    paint.stamp(canvas, head.chin, moved)


def paint_features(canvas: np.ndarray, who: Person, face: np.ndarray, openness: float) -> None:
    """Paints brows, eyes and mouth.

    Args:
      canvas: Canvas, painted in place.
      who: The person.
      face: The face's 70 landmarks in the picture.
      openness: Opening of the mouth as a share of the widest.
    """
    for first, last, s in ((17, 22, -1), (22, 27, 1)):
        _brow(canvas, who, face[first:last] if s < 0 else face[first:last][::-1])
    for first, pupil in ((36, 68), (42, 69)):
        _eye(canvas, who, face[first : first + 6], face[pupil])
    _mouth(canvas, who, face[48:60], face[60:68], openness)
    if who.glasses:
        _glasses(canvas, face)


def _brow(canvas, who, points) -> None:
    """Paints a brow from its outer end to its inner one, thickest two thirds of the way."""
    line = paint.curve(points, closed=False, steps=6)
    t = np.linspace(0, 1, len(line))[:, None]
    normal = np.gradient(line, axis=0)[:, ::-1] * (-1, 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    thick = who.brow * (0.25 + 0.75 * np.sin(np.pi * np.clip(0.08 + 0.72 * t, 0, 1)) ** 0.8) / 2
    shape = np.concatenate([line + thick * normal, (line - thick * normal)[::-1]])
    tone = tuple(
        int(0.62 * a + 0.38 * b) for a, b in zip(who.hair_shadow, who.hair_tone, strict=True)
    )
    paint.fill(canvas, shape, tone, alpha=0.9)


def _eye(canvas, who, eye, pupil) -> None:
    upper = paint.curve(eye[:4], closed=False, steps=6)
    lower = paint.curve(eye[[3, 4, 5, 0]], closed=False, steps=6)
    shape = np.concatenate([upper, lower])
    wide = float(np.hypot(*(eye[0] - eye[3])))
    lash = tuple(int(0.4 * c) for c in who.hair_shadow)
    crease = upper + (0, -0.13 * wide)
    paint.stroke(canvas, crease[2:-2], 0.004, who.skin_shadow, 0.55)
    paint.fill(canvas, shape, (246, 243, 240))
    radius = 0.24 * wide
    paint.fill(
        canvas, paint.ellipse(*pupil, radius, radius), tuple(c // 2 for c in who.iris), shape
    )
    paint.fill(canvas, paint.ellipse(*pupil, 0.86 * radius, 0.86 * radius), who.iris, shape)
    paint.fill(canvas, paint.ellipse(*pupil, 0.46 * radius, 0.46 * radius), (12, 10, 12), shape)
    shine = paint.ellipse(
        pupil[0] - 0.4 * radius, pupil[1] - 0.45 * radius, 0.3 * radius, 0.3 * radius
    )
    paint.fill(canvas, shine, (255, 255, 255), shape)
    shadow = np.concatenate([upper, (upper + (0, 0.075 * wide))[::-1]])
    paint.fill(canvas, shadow, (70, 52, 50), shape, alpha=0.45)
    paint.stroke(canvas, lower, 0.0028, who.skin_shadow, 0.6)
    thick = 0.0062 if who.slender else 0.0048
    wing = upper[0] + 0.13 * (upper[0] - upper[6]) * (1 if who.slender else 0)
    paint.stroke(canvas, np.concatenate([wing[None], upper]), thick, lash, 0.95)


def _mouth(canvas, who, outer, inner, openness) -> None:
    above = paint.curve(outer[:7], closed=False, steps=6)
    below = paint.curve(outer[[6, 7, 8, 9, 10, 11, 0]], closed=False, steps=6)
    high = paint.curve(inner[:5], closed=False, steps=6)
    low = paint.curve(inner[[4, 5, 6, 7, 0]], closed=False, steps=6)
    hole = np.concatenate([high, low])
    deep = tuple(int(0.86 * c) for c in who.lips)
    bright = tuple(int(0.72 * c + 0.28 * 255) for c in who.lips)
    bright = (bright[0], bright[1], min(bright[2], bright[1] + 4))
    paint.fill(canvas, np.concatenate([above, below]), who.lips)
    paint.fill(canvas, np.concatenate([above, high[::-1]]), deep, alpha=0.85)
    gleam = inner[6] + 0.55 * (outer[9] - inner[6])
    wide = float(np.hypot(*(outer[6] - outer[0])))
    paint.fill(canvas, paint.ellipse(*gleam, 0.16 * wide, 0.028 * wide), bright, alpha=0.6)
    seam = tuple(int(0.55 * c) for c in who.lips)
    paint.stroke(canvas, high, 0.0035, seam, 0.8)
    gap = inner[6] - inner[2]
    if np.hypot(*gap) < 1e-4:
        return
    paint.fill(canvas, hole, MOUTH_DARK)
    tongue = inner[6] - 0.02 * gap
    paint.fill(canvas, paint.ellipse(*tongue, 0.25 * wide, 0.30 * np.hypot(*gap)), _TONGUE, hole)
    teeth = np.concatenate([high[3:-3], (high[3:-3] + 0.22 * gap)[::-1]])
    paint.fill(canvas, teeth, _TEETH, hole)
    edge = np.concatenate([high, (high + 0.06 * gap)[::-1]])
    paint.fill(canvas, edge, MOUTH_DARK, hole, alpha=0.6)


def _glasses(canvas, face) -> None:
    frame = (34, 32, 36)
    rims = []
    for first in (36, 42):
        centre = face[first : first + 6].mean(0) + (0, 0.002)
        rims.append(centre)
        box = paint.ellipse(*centre, 0.045, 0.034)
        box = centre + np.sign(box - centre) * np.abs((box - centre) / (0.045, 0.034)) ** 0.75 * (
            0.045,
            0.034,
        )
        paint.fill(canvas, box, (235, 242, 250), alpha=0.10)
        paint.stroke(canvas, np.concatenate([box, box[:1]]), 0.0055, frame, 0.92)
    right, left = rims
    arch = [right + (0.044, -0.006), (right + left) / 2 + (0, -0.014), left + (-0.044, -0.006)]
    paint.stroke(canvas, paint.curve(arch, closed=False), 0.005, frame, 0.92)
    paint.stroke(
        canvas, np.stack([right - (0.044, 0.010), face[0] + (-0.002, 0.010)]), 0.005, frame
    )
    paint.stroke(
        canvas, np.stack([left + (0.044, -0.010), face[16] + (0.002, 0.010)]), 0.005, frame
    )
