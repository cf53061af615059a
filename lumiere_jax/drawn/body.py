"""Neck and clothes, painted once, and the arms and hands of every frame."""

import cv2
import numpy as np

from lumiere_jax.drawn import paint, person
from lumiere_jax.drawn.person import Person

_ARM = (0.066, 0.056, 0.036)  # radii at shoulder, elbow and cuff
_WRIST = 0.0265
# Span of the wrist bands along the forearm: wide enough to survive a network's blur.
BAND = (0.7, 1.06)


def _mirror(points):
    return [(1 - x, y) for x, y in reversed(points)]


def build(who: Person, side: int) -> paint.Sprite:
    layer = paint.empty(side)
    half = 0.060 if who.slender else 0.070
    neck = [
        (0.5 - half, 0.42),
        (0.5 - half, 0.50),
        (0.5 - half - 0.012, 0.545),
        (0.40, 0.60),
        (0.45, 0.72),
    ]
    neck = paint.mask(side, paint.curve(neck + _mirror(neck)))
    light = 0.10 + 0.85 * paint.inflate(neck, 0.06, 0.4)
    paint.over(layer, neck, paint.shade(who.skin, light))
    shadow = paint.mask(side, paint.ellipse(0.506, 0.494, 0.120, 0.060), soft=0.010)
    paint.tint(layer, 0.88 * shadow, who.skin_shadow)
    wide = 0.0 if who.slender else 0.012
    torso = [(0.418, 0.548), (0.36, 0.574), (0.285 - wide, 0.598), (0.225 - wide, 0.632)]
    torso += [(0.199 - wide, 0.70), (0.222, 0.80), (0.238, 0.90), (0.245, 1.04)]
    {"blazer": _blazer, "sweater": _sweater}[who.cut](layer, who, torso)
    return paint.sprite(layer)


def _cloth(layer, shape, table, depth=0.11, dim=1.0):
    side = len(layer)
    area = paint.mask(side, shape)
    light = 0.06 + 0.92 * paint.inflate(area, depth, 0.4)
    paint.over(layer, area, paint.shade(table, np.clip(dim * light, 0, 1)))
    return area


def _folds(layer, table) -> None:
    """Paints soft creases at the arms and over the belly."""
    side = len(layer)
    for s in (-1, 1):
        for x0, y0, x1, y1 in ((0.175, 0.72, 0.10, 0.77), (0.18, 0.77, 0.12, 0.85)):
            path = [(0.5 + s * x0, y0), (0.5 + s * (x0 + x1) / 2, y0 + 0.6 * (y1 - y0))]
            path = paint.curve(path + [(0.5 + s * x1, y1)], closed=False)
            crease = paint.lines(side, path, width=0.007, soft=0.006)
            paint.tint(layer, 0.38 * crease, table[30, :3])
            crease = paint.lines(side, path + (0.004, -0.010), width=0.006, soft=0.006)
            paint.tint(layer, 0.22 * crease, table[255, :3])


def _blazer(layer, who: Person, torso) -> None:
    side = len(layer)
    top = [(0.420, 0.552), (0.455, 0.60), (0.5, 0.632)]
    blouse = np.concatenate(
        [paint.curve(top + _mirror(top[:-1]), False), [(0.64, 1.02), (0.36, 1.02)]]
    )
    _cloth(layer, blouse, who.shirt, 0.10)
    middle = paint.lines(side, np.array([(0.5, 0.64), (0.5, 1.02)]), width=0.003, soft=0.002)
    paint.tint(layer, 0.35 * middle, who.shirt[20, :3])
    for s in (-1, 1):
        collar = np.array(
            [(0.082, 0.540), (0.050, 0.575), (0.006, 0.640), (0.045, 0.672), (0.094, 0.585)]
        )
        collar = np.stack([0.5 + s * collar[:, 0], collar[:, 1]], 1)
        fallen = paint.mask(side, collar + (0.003, 0.010), soft=0.006)
        paint.tint(layer, 0.40 * fallen, who.shirt[20, :3])
        _cloth(layer, collar, who.shirt, 0.03)
    for s in (-1, 1):
        outer = [(x, y) for x, y in torso]
        inner = [(0.495, 1.04), (0.492, 0.93), (0.470, 0.84), (0.418, 0.66), (0.412, 0.575)]
        panel = paint.curve(outer + inner)
        panel = panel if s < 0 else np.stack([1 - panel[:, 0], panel[:, 1]], 1)
        paint.tint(
            layer, 0.45 * paint.mask(side, panel + (0.006, 0.006), soft=0.008), who.shirt[15, :3]
        )
        _cloth(layer, panel, who.cloth)
    for s in (-1, 1):
        lapel = [(0.090, 0.556), (0.125, 0.600), (0.142, 0.672), (0.112, 0.684), (0.126, 0.712)]
        lapel += [(0.022, 0.900), (0.006, 0.930), (0.026, 0.860), (0.082, 0.690), (0.078, 0.590)]
        lapel = np.array(lapel)
        lapel = np.stack([0.5 + s * lapel[:, 0], lapel[:, 1]], 1)
        paint.tint(
            layer, 0.5 * paint.mask(side, lapel + (0.004, 0.008), soft=0.006), who.cloth[10, :3]
        )
        _cloth(layer, lapel, who.cloth, 0.02, 1.06)
    _folds(layer, who.cloth)
    button = paint.mask(side, paint.ellipse(0.508, 0.958, 0.010, 0.010))
    paint.over(layer, button, who.cloth[30, :3])


def _sweater(layer, who: Person, torso) -> None:
    side = len(layer)
    neckline = [(0.418, 0.552), (0.45, 0.588), (0.5, 0.602)]
    shape = paint.curve(torso + _mirror(torso), False)
    shape = np.concatenate([shape, paint.curve(neckline + _mirror(neckline[:-1]), False)[::-1]])
    for s in (-1, 1):
        collar = np.array(
            [(0.083, 0.535), (0.048, 0.575), (0.004, 0.615), (0.040, 0.655), (0.098, 0.590)]
        )
        collar = np.stack([0.5 + s * collar[:, 0], collar[:, 1]], 1)
        _cloth(layer, collar, who.shirt, 0.03)
    _cloth(layer, shape, who.cloth)
    for s in (-1, 1):
        collar = np.array(
            [(0.086, 0.538), (0.062, 0.580), (0.020, 0.612), (0.052, 0.648), (0.104, 0.588)]
        )
        collar = np.stack([0.5 + s * collar[:, 0], collar[:, 1]], 1)
        paint.tint(
            layer, 0.45 * paint.mask(side, collar + (0.002, 0.009), soft=0.006), who.cloth[15, :3]
        )
        _cloth(layer, collar, who.shirt, 0.03)
    ring = paint.curve(neckline + _mirror(neckline[:-1]), False) + (0, 0.006)
    paint.tint(layer, 0.35 * paint.lines(side, ring, width=0.004, soft=0.003), who.cloth[20, :3])
    _folds(layer, who.cloth)


def paint_arms(canvas: np.ndarray, who: Person, arms: np.ndarray, hands: np.ndarray) -> None:
    """Paints sleeves, wrist bands and hands.

    Args:
      canvas: Canvas, painted in place.
      who: The person.
      arms: Shoulder, elbow and wrist of left and right, (2, 3, 2).
      hands: Landmarks of the left and the right hand, (2, 21, 2).
    """
    _shadow(canvas, arms, hands)
    for shoulder, elbow, _ in arms:
        paint.limb(canvas, shoulder, elbow, _ARM[:2], who.cloth, fade=0.30)
    for (_, elbow, wrist), hand, band in zip(
        arms, hands, (person.LEFT_BAND, person.RIGHT_BAND), strict=True
    ):
        paint.limb(canvas, elbow, wrist, (_WRIST * 1.15, _WRIST), who.skin, (0.5, 9.0))
        _hand(canvas, who, wrist, hand)
        paint.limb(canvas, elbow, wrist, _ARM[1:], who.cloth, (-9.0, 0.7))
        paint.limb(canvas, elbow, wrist, (_ARM[2] + 0.003,) * 2, who.shirt, (0.66, 0.7))
        strap = np.array(band)
        table = paint.ramp(_toned(0.55 * strap), band, _toned(0.75 * strap + 64))
        paint.limb(canvas, elbow, wrist, (_ARM[2] + 0.004, _WRIST + 0.0045), table, BAND)


def _toned(rgb: np.ndarray) -> paint.Colour:
    return int(rgb[0]), int(rgb[1]), int(rgb[2])


def _shadow(canvas, arms, hands) -> None:
    """Darkens the clothes below arms and hands."""
    side = len(canvas)
    small = side // 4
    area = np.zeros((small, small), np.uint8)

    def line(points, width):
        fixed = np.rint((points + (0.012, 0.024)) * small * 64).astype(np.int32)
        cv2.polylines(area, [fixed], False, 255, max(1, round(width * small)), cv2.LINE_AA, 6)

    for arm, hand in zip(arms, hands, strict=True):
        line(arm, 0.085)
        line(hand[[0, 9]], 0.07)
        line(hand[[9, 12]], 0.05)
    top = int(0.52 * small) * 4
    area = cv2.GaussianBlur(area, (0, 0), 0.014 * small)[top // 4 :]
    dark = cv2.resize(area, (side, side - top), interpolation=cv2.INTER_LINEAR)
    under = canvas[top:, :, :3]
    dark = cv2.multiply(dark, canvas[top : top + len(dark), :, 3], scale=0.40 / 255)
    keep = cv2.merge([255 - dark] * 3)
    canvas[top:, :, :3] = cv2.multiply(under, keep, scale=1 / 255)


def _hand(canvas, who: Person, wrist, hand) -> None:
    bones = [(*wrist, *hand[k], 0.0185, 0.0) for k in (5, 9, 13, 17)]
    middle = hand[[0, 5, 17]].mean(0)
    bones += [(*middle, *hand[[9, 13]].mean(0), 0.026, 0.0), (*wrist, *hand[1], 0.0175, 0.0)]
    for finger in (4, 3, 2, 1):
        radius = (0.0135, 0.0122, 0.0108) if finger < 4 else (0.0115, 0.0105, 0.0094)
        for joint in range(3):
            a, b = hand[1 + 4 * finger + joint], hand[2 + 4 * finger + joint]
            bones.append((*a, *b, radius[joint], 0.002))
    for joint, radius in enumerate((0.0160, 0.0138, 0.0120)):
        bones.append((*hand[1 + joint], *hand[2 + joint], radius, 0.006))
    paint.solid(canvas, np.array(bones), who.skin)
