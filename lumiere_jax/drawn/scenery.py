"""The rooms behind the lecturer: out of focus, with light from the left."""

import numpy as np

from lumiere_jax.drawn import paint

_WALLS = (
    ((64, 70, 84), (150, 152, 158)),
    ((82, 74, 68), (196, 184, 168)),
    ((52, 66, 84), (132, 152, 172)),
    ((88, 80, 80), (190, 182, 178)),
)
_BOOKS = (
    (132, 70, 52),
    (52, 74, 110),
    (196, 170, 124),
    (86, 62, 50),
    (158, 162, 170),
    (40, 46, 58),
)


def room(side: int, name: str, seed: int) -> np.ndarray:
    """Paints the background (side, side, 4) uint8; alpha is 0, as it shows no person."""
    rng = np.random.default_rng([seed, 12])
    picture = _wall(side, _WALLS[seed % len(_WALLS)])
    {"study": _study, "screen": _screen, "window": _window}[name](picture, rng)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    glow = np.exp(-(((x - 0.30) / 0.5) ** 2 + ((y - 0.25) / 0.55) ** 2))
    vignette = 1 - 0.55 * np.clip((x - 0.5) ** 2 + (y - 0.42) ** 2, 0, 1)
    rgb = picture[..., :3] * (vignette * (0.82 + 0.26 * glow))[..., None]
    rgb += np.random.default_rng(5).normal(0, 0.6, rgb.shape)  # against banding
    canvas = np.zeros((side, side, 4), np.uint8)
    canvas[..., :3] = np.clip(np.rint(rgb), 0, 255)
    return canvas


def _wall(side: int, tones) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    light = np.clip(1.05 - 0.75 * x - 0.35 * y, 0, 1)[..., None]
    layer = paint.empty(side)
    layer[..., :3] = np.float32(tones[0]) * (1 - light) + np.float32(tones[1]) * light
    layer[..., 3] = 255
    return layer


def _box(left, top, right, bottom):
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _study(layer: np.ndarray, rng: np.random.Generator) -> None:
    """Paints shelves with books to the right, a lamp to the left."""
    side = len(layer)
    back = _box(0.60, -0.05, 1.05, 0.86)
    paint.over(layer, 0.9 * paint.mask(side, back, soft=0.012), (58, 46, 40))
    for shelf in (0.13, 0.36, 0.59, 0.82):
        x = 0.625
        while x < 1.0:
            wide, tall = rng.uniform(0.018, 0.038), rng.uniform(0.12, 0.175)
            tone = np.array(_BOOKS[rng.integers(len(_BOOKS))]) * rng.uniform(0.85, 1.15)
            if rng.random() < 0.88:
                book = _box(x, shelf - tall, x + wide, shelf)
                paint.over(layer, 0.95 * paint.mask(side, book, soft=0.007), tone)
            x += wide + 0.004
        board = _box(0.60, shelf, 1.05, shelf + 0.018)
        paint.over(layer, paint.mask(side, board, soft=0.006), (128, 96, 70))
    paint.over(
        layer, 0.85 * paint.mask(side, _box(0.085, 0.42, 0.095, 0.9), soft=0.006), (60, 52, 48)
    )
    glow = paint.mask(side, paint.ellipse(0.09, 0.36, 0.15, 0.17), soft=0.07)
    paint.over(layer, 0.55 * glow, (255, 224, 172))
    shade = np.array([(0.045, 0.30), (0.135, 0.30), (0.17, 0.43), (0.01, 0.43)])
    paint.over(layer, 0.95 * paint.mask(side, shade, soft=0.009), (255, 238, 204))


def _screen(layer: np.ndarray, rng: np.random.Generator) -> None:
    """Paints a slide on a large display, and a warm strip of light on the wall."""
    side = len(layer)
    paint.over(
        layer, 0.9 * paint.mask(side, _box(0.55, 0.03, 1.10, 0.55), soft=0.010), (26, 30, 40)
    )
    slide = _box(0.57, 0.05, 1.10, 0.53)
    paint.over(layer, 0.95 * paint.mask(side, slide, soft=0.008), (206, 220, 238))
    paint.over(
        layer, 0.9 * paint.mask(side, _box(0.66, 0.09, 0.90, 0.125), soft=0.006), (48, 72, 120)
    )
    for row in range(4):
        y = 0.36 + 0.04 * row
        line = _box(0.70, y, rng.uniform(0.86, 0.97), y + 0.014)
        paint.over(layer, 0.7 * paint.mask(side, line, soft=0.006), (126, 142, 170))
    x = np.linspace(0.68, 0.97, 9)
    y = 0.30 - np.cumsum(rng.uniform(0, 0.034, 9)) * 0.8
    graph = paint.lines(side, np.stack([x, y], 1), width=0.012, soft=0.005)
    paint.over(layer, 0.9 * graph, (214, 122, 62))
    glow = paint.mask(side, _box(0.10, -0.1, 0.16, 1.1), soft=0.08)
    paint.over(layer, 0.55 * glow, (255, 214, 160))
    paint.over(
        layer, 0.95 * paint.mask(side, _box(0.122, -0.1, 0.134, 1.1), soft=0.007), (255, 244, 222)
    )


def _window(layer: np.ndarray, rng: np.random.Generator) -> None:
    """Paints a tall window with a hazy city to the left, a framed picture to the right."""
    side = len(layer)
    paint.over(
        layer, 0.95 * paint.mask(side, _box(-0.1, 0.02, 0.36, 0.72), soft=0.012), (222, 216, 208)
    )
    y = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    sky = np.float32((150, 188, 226)) * (1 - y) + np.float32((250, 232, 214)) * y
    pane = paint.mask(side, _box(-0.1, 0.05, 0.335, 0.69), soft=0.008)
    paint.over(layer, pane, np.broadcast_to(sky, (side, side, 3)))
    for _ in range(9):
        x, top = rng.uniform(-0.05, 0.30), rng.uniform(0.36, 0.58)
        house = paint.mask(side, _box(x, top, x + rng.uniform(0.04, 0.08), 0.69), soft=0.012)
        paint.over(layer, 0.5 * house * pane, np.array((136, 150, 172)) * rng.uniform(0.85, 1.15))
    for bar in (_box(0.15, 0.02, 0.165, 0.72), _box(-0.1, 0.36, 0.36, 0.372)):
        paint.over(layer, 0.9 * paint.mask(side, bar, soft=0.006), (232, 228, 222))
    paint.over(
        layer, 0.9 * paint.mask(side, _box(0.74, 0.10, 0.96, 0.40), soft=0.008), (58, 48, 44)
    )
    paint.over(
        layer, paint.mask(side, _box(0.755, 0.115, 0.945, 0.385), soft=0.006), (214, 204, 190)
    )
    hill = np.array([(0.755, 0.33), (0.81, 0.25), (0.86, 0.30), (0.91, 0.22), (0.945, 0.28)])
    hill = np.concatenate([hill, [(0.945, 0.385), (0.755, 0.385)]])
    paint.over(layer, 0.9 * paint.mask(side, hill, soft=0.006), (86, 108, 140))
    sun = paint.ellipse(0.80, 0.18, 0.022, 0.022)
    paint.over(layer, 0.9 * paint.mask(side, sun, soft=0.005), (226, 150, 84))
