"""Brushes: anti-aliased shapes with shading on an RGBA canvas.

Lengths and points are in units of the picture (0 to 1, rightwards and downwards). A canvas is
uint8 (side, side, 4), colour premultiplied; its alpha is the share of a pixel that the person
covers. Light comes from the upper left, in front.
"""

from dataclasses import dataclass

import cv2
import numpy as np

LIGHT = np.float32([-0.42, -0.50, 0.76])
LIGHT /= np.linalg.norm(LIGHT)
_FINE = 4  # samples along each side of a pixel in small shapes
_SHIFT = 6  # fractional bits of cv2's coordinates

Colour = tuple[int, int, int] | np.ndarray


@dataclass(frozen=True)
class Sprite:
    """A painted layer without its empty border.

    Attributes:
      rgba: Premultiplied RGBA.
      left: Column of its upper left pixel.
      top: Row of its upper left pixel.
    """

    rgba: np.ndarray
    left: int
    top: int


def ramp(dark: Colour, middle: Colour, light: Colour) -> np.ndarray:
    """Makes the colours (256, 4) of a material from shadow to full light."""
    stops = np.array([dark, middle, light], np.float64)
    x = np.linspace(0, 1, 256)
    rgb = np.stack([np.interp(x, [0.12, 0.68, 1.0], stops[:, c]) for c in range(3)], 1)
    return np.concatenate([rgb, np.full((256, 1), 255)], 1).astype(np.float32)


def curve(points, closed: bool = True, steps: int = 10) -> np.ndarray:
    """Returns a smooth line through points (n, 2): Catmull-Rom."""
    points = np.asarray(points, np.float64)
    if not closed:
        points = np.concatenate(
            [2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]]
        )
        a, b, c, d = points[:-3], points[1:-2], points[2:-1], points[3:]
    else:
        a, b, c, d = (np.roll(points, k, 0) for k in (1, 0, -1, -2))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b, c, d = (p[:, None] for p in (a, b, c, d))
    line = b + 0.5 * t * ((c - a) + t * ((2 * a - 5 * b + 4 * c - d) + t * (3 * (b - c) + d - a)))
    line = line.reshape(-1, 2)
    return line if closed else np.concatenate([line, points[-2:-1]])


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    along, across = rx * np.cos(t), ry * np.sin(t)
    c, s = np.cos(turn), np.sin(turn)
    return np.stack([x + c * along - s * across, y + s * along + c * across], 1)


def _fixed(pixels: np.ndarray) -> np.ndarray:
    return np.rint(pixels * (1 << _SHIFT)).astype(np.int32)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blurs with a Gaussian whose sigma is in units of the picture."""
    return cv2.GaussianBlur(image, (0, 0), max(sigma * image.shape[1], 0.3))


def mask(side: int, *polygons, soft: float = 0.0) -> np.ndarray:
    """Computes the share (side, side) of each pixel that polygons cover, blurred by `soft`."""
    area = np.zeros((2 * side, 2 * side), np.uint8)
    for points in polygons:
        cv2.fillPoly(area, [_fixed(np.asarray(points) * 2 * side - 0.5)], 255, cv2.LINE_AA, _SHIFT)
    area = cv2.resize(area, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return blur(area, soft) if soft else area


def lines(side: int, *paths, width: float, soft: float = 0.0) -> np.ndarray:
    """Computes the share (side, side) of each pixel under strokes of one width."""
    area = np.zeros((2 * side, 2 * side), np.uint8)
    thick = max(1, round(2 * side * width))
    for points in paths:
        fixed = _fixed(np.asarray(points) * 2 * side - 0.5)
        cv2.polylines(area, [fixed], False, 255, thick, cv2.LINE_AA, _SHIFT)
    area = cv2.resize(area, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return blur(area, soft) if soft else area


def lit(heights: np.ndarray) -> np.ndarray:
    """Computes the light, 0 to 1, on a surface of heights in pixels."""
    dx, dy = cv2.Sobel(heights, -1, 1, 0, scale=1 / 8), cv2.Sobel(heights, -1, 0, 1, scale=1 / 8)
    dot = LIGHT[2] - LIGHT[0] * dx - LIGHT[1] * dy
    return np.clip(dot / np.sqrt(1 + dx * dx + dy * dy), 0, 1)


def inflate(area: np.ndarray, depth: float, smooth: float = 0.3) -> np.ndarray:
    """Computes light on a mask inflated like a cushion, with borders `depth` wide."""
    reach = depth * len(area)
    inside = cv2.distanceTransform((area > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    edge = 1 - np.clip(inside / reach, 0, 1)
    return lit(blur((reach * np.sqrt(1 - edge * edge)).astype(np.float32), depth * smooth))


def empty(side: int) -> np.ndarray:
    return np.zeros((side, side, 4), np.float32)


def over(layer: np.ndarray, area: np.ndarray, paint) -> None:
    """Paints on a float layer: `paint` is a colour or a picture (side, side, 3 or 4)."""
    paint = np.asarray(paint, np.float32)
    layer *= 1 - area[..., None]
    layer[..., :3] += area[..., None] * paint[..., :3]
    layer[..., 3] += 255 * area


def tint(layer: np.ndarray, area: np.ndarray, colour: Colour) -> None:
    """Colours only what a layer already shows."""
    target = np.float32(colour) * layer[..., 3:] / 255
    layer[..., :3] += area[..., None] * (target - layer[..., :3])


def shade(table: np.ndarray, light: np.ndarray) -> np.ndarray:
    return table[np.clip(light * 255, 0, 255).astype(np.uint8)]


def sprite(layer: np.ndarray) -> Sprite:
    rows, cols = (
        np.nonzero(layer[..., 3].max(1) > 0.5)[0],
        np.nonzero(layer[..., 3].max(0) > 0.5)[0],
    )
    if not len(rows):
        return Sprite(np.zeros((1, 1, 4), np.uint8), 0, 0)
    top, bottom, left, right = rows[0], rows[-1] + 1, cols[0], cols[-1] + 1
    rgba = np.rint(np.clip(layer[top:bottom, left:right], 0, 255)).astype(np.uint8)
    return Sprite(np.ascontiguousarray(rgba), int(left), int(top))


def _box(canvas, low, high):
    """Returns the canvas's pixels from low to high (x, y), as (x0, y0, x1, y1), or None."""
    side = len(canvas)
    x0, y0 = max(int(np.floor(low[0])), 0), max(int(np.floor(low[1])), 0)
    x1, y1 = min(int(np.ceil(high[0])) + 1, side), min(int(np.ceil(high[1])) + 1, side)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def _coat(table, light, cover) -> np.ndarray:
    """Returns a material's colours under a light, premultiplied by its cover."""
    index = (np.minimum(np.maximum(light, 0), 1) * 255).astype(np.uint8)
    rgba = cv2.LUT(cv2.merge([index] * 4), table.astype(np.uint8)[None])
    return cv2.multiply(rgba, cv2.merge([(cover * 255).astype(np.uint8)] * 4), scale=1 / 255)


def _blend(canvas, box, rgba) -> None:
    x0, y0, x1, y1 = box
    under = canvas[y0:y1, x0:x1]
    rest = cv2.merge([255 - rgba[..., 3]] * 4)
    under[:] = cv2.add(cv2.multiply(under, rest, scale=1 / 255), rgba)


def stamp(canvas: np.ndarray, sprite: Sprite, affine: np.ndarray) -> None:
    """Lays a sprite on, moved by an affine (2, 3) of points in units of the picture."""
    side = len(canvas)
    height, width = sprite.rgba.shape[:2]
    turn = affine[:, :2]
    origin = np.array([sprite.left, sprite.top], np.float64)
    shift = turn @ (origin + 0.5) + side * affine[:, 2] - 0.5
    corners = np.array([(-1, -1), (width, -1), (-1, height), (width, height)]) @ turn.T + shift
    box = _box(canvas, corners.min(0), corners.max(0))
    if box is None:
        return
    local = np.concatenate([turn, (shift - box[:2])[:, None]], 1)
    size = (box[2] - box[0], box[3] - box[1])
    _blend(canvas, box, cv2.warpAffine(sprite.rgba, local, size, flags=cv2.INTER_LINEAR))


def _patch(canvas, points, margin, draw):
    side = len(canvas)
    pixels = points * side - 0.5
    box = _box(canvas, pixels.min(0) - margin, pixels.max(0) + margin)
    if box is None:
        return None, None
    width, height = box[2] - box[0], box[3] - box[1]
    fine = np.zeros((height * _FINE, width * _FINE), np.uint8)
    draw(fine, _fixed((pixels - box[:2] + 0.5) * _FINE - 0.5))
    return box, cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)


def _colour(canvas, box, cover, colour) -> None:
    rgba = (cover[..., None] * (np.float32([*colour, 255]) / 255)).astype(np.uint8)
    _blend(canvas, box, rgba)


def fill(canvas: np.ndarray, points: np.ndarray, colour, inside=None, alpha: float = 1.0) -> None:
    """Paints a polygon; only within the polygon `inside`, if given."""

    def draw(fine, fixed):
        cv2.fillPoly(fine, [fixed[: len(points)]], round(255 * alpha), cv2.LINE_8, _SHIFT)
        if inside is not None:
            clip = np.zeros_like(fine)
            cv2.fillPoly(clip, [fixed[len(points) :]], 255, cv2.LINE_8, _SHIFT)
            np.minimum(fine, clip, out=fine)

    every = points if inside is None else np.concatenate([points, inside])
    box, cover = _patch(canvas, every, 1, draw)
    if box is not None:
        _colour(canvas, box, cover, colour)


def stroke(canvas: np.ndarray, points: np.ndarray, width: float, colour, alpha: float = 1.0):
    """Paints an open line, `width` thick."""
    thick = width * len(canvas)

    def draw(fine, fixed):
        brush = max(1, round(thick * _FINE))
        cv2.polylines(fine, [fixed], False, round(255 * alpha), brush, cv2.LINE_8, _SHIFT)

    box, cover = _patch(canvas, points, thick / 2 + 1, draw)
    if box is not None:
        _colour(canvas, box, cover, colour)


def limb(canvas, start, end, radii, table, span=(-1.0, 2.0), fade: float = 0.0) -> None:
    """Paints a tapered round limb, between shares `span` of its length.

    With `fade` it emerges softly, over that share of its length, from the part it is attached to.
    """
    side = np.float32(len(canvas))
    start, end = np.float32(start) * side - 0.5, np.float32(end) * side - 0.5
    r0, r1 = np.float32(radii) * side
    axis = end - start
    length = np.float32(max(float(np.hypot(*axis)), 1e-3))
    axis = axis / length
    low, high = np.float32(span)
    ends = np.stack([start + max(low, 0) * length * axis, start + min(high, 1) * length * axis])
    margin = max(r0, r1) + 1
    box = _box(canvas, ends.min(0) - margin, ends.max(0) + margin)
    if box is None:
        return
    x = np.arange(box[0], box[2], dtype=np.float32)[None, :] - start[0]
    y = np.arange(box[1], box[3], dtype=np.float32)[:, None] - start[1]
    along = x * (axis[0] / length) + y * (axis[1] / length)
    held = np.minimum(np.maximum(along, 0), 1)
    radius = r0 + (r1 - r0) * held
    inverse = 1 / radius
    across = (y * axis[0] - x * axis[1]) * inverse
    past = (along - held) * (length * inverse)
    square = across * across + past * past
    cover = (1 - np.sqrt(square)) * radius + 0.5
    if low > -1 or high < 2:
        cover = np.minimum(cover, (along - low) * length + 0.5)
        cover = np.minimum(cover, (high - along) * length + 0.5)
    cover = np.minimum(np.maximum(cover, 0), 1)
    if fade:
        t = np.minimum(np.maximum(along / np.float32(fade) + 0.2, 0), 1)
        t = t * t * (3 - 2 * t)
        cover = cover * t
    light = LIGHT[2] * np.sqrt(np.maximum(1 - square, 0))
    light += across * (LIGHT[1] * axis[0] - LIGHT[0] * axis[1])
    light += past * (LIGHT[0] * axis[0] + LIGHT[1] * axis[1])
    if fade:
        light = 0.66 + t * (light - 0.66)
    _blend(canvas, box, _coat(table, light, cover))


def solid(canvas: np.ndarray, bones: np.ndarray, table: np.ndarray) -> None:
    """Paints a smooth union of capsules (n, 6): x0, y0, x1, y1, radius, lift to the viewer."""
    side = np.float32(len(canvas))
    bones = bones.astype(np.float32) * side
    bones[:, :4] -= 0.5
    ends = bones[:, :4].reshape(-1, 2)
    margin = bones[:, 4].max() + 3
    box = _box(canvas, ends.min(0) - margin, ends.max(0) + margin)
    if box is None:
        return
    shape = (box[3] - box[1], box[2] - box[0])
    heights, cover = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for x0, y0, x1, y1, r, lift in bones:
        rows = slice(max(int(min(y0, y1) - r) - box[1] - 1, 0), int(max(y0, y1) + r) - box[1] + 3)
        cols = slice(max(int(min(x0, x1) - r) - box[0] - 1, 0), int(max(x0, x1) + r) - box[0] + 3)
        part = heights[rows, cols]
        if not part.size:
            continue
        x = np.arange(part.shape[1], dtype=np.float32)[None, :] + (cols.start + box[0] - x0)
        y = np.arange(part.shape[0], dtype=np.float32)[:, None] + (rows.start + box[1] - y0)
        dx, dy = x1 - x0, y1 - y0
        t = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
        square = (x - t * dx) ** 2 + (y - t * dy) ** 2
        np.maximum(part, np.sqrt(np.maximum(r * r - square, 0)) + lift * (square < r * r), out=part)
        share = cover[rows, cols]
        np.maximum(share, np.clip(r - np.sqrt(square) + 0.5, 0, 1), out=share)
    light = lit(cv2.GaussianBlur(heights, (0, 0), max(0.0022 * float(side), 0.4)))
    _blend(canvas, box, _coat(table, light, cover))
