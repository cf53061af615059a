"""Hair in five styles, with light and dark strands."""

import numpy as np

from lumiere_jax.drawn import paint
from lumiere_jax.drawn.person import Person


def _strands(who: Person, side: int, x0: float, y0: float, wavy: float) -> np.ndarray:
    """Makes light and dark streaks that run outwards from a parting."""
    rng = np.random.default_rng(4)
    y, x = (np.mgrid[0:side, 0:side].astype(np.float32) + 0.5) / side
    far = np.hypot(x - x0, y - y0)
    angle = np.arctan2(x - x0, y - y0) + wavy * np.sin(34 * far) * np.minimum(far * 5, 1)
    noise = sum(
        share * np.interp(np.linspace(0, n, 2048), np.arange(n + 1), rng.normal(0, 1, n + 1))
        for n, share in ((46, 0.7), (120, 0.55))
    )
    streaks = noise[((angle / (2 * np.pi) + 0.5) * 2047).astype(np.int32).clip(0, 2047)]
    gloss = np.exp(-(((far - 0.10) / 0.028) ** 2))
    return (0.085 * streaks + 0.20 * gloss * (1 + 0.5 * streaks)).astype(np.float32)


def _mirror(points):
    return [(1 - x, y) for x, y in reversed(points)]


def _short(who):
    cap = [(0.357, 0.318), (0.349, 0.25), (0.358, 0.17), (0.40, 0.108), (0.47, 0.078)]
    cap += [(0.545, 0.074), (0.61, 0.104), (0.645, 0.17), (0.651, 0.25), (0.643, 0.318)]
    line = [(0.632, 0.300), (0.626, 0.245), (0.610, 0.205), (0.56, 0.188), (0.50, 0.184)]
    line += [(0.445, 0.172), (0.405, 0.196), (0.377, 0.245), (0.368, 0.300)]
    return [], [paint.curve(cap + line)], (0.40, 0.06), 0.0


def _bob(who):
    back = [(0.33, 0.30), (0.345, 0.16), (0.42, 0.09), (0.5, 0.08), (0.58, 0.09), (0.655, 0.16)]
    back += [(0.67, 0.30), (0.675, 0.42), (0.64, 0.49), (0.5, 0.50), (0.36, 0.49), (0.325, 0.42)]
    left = [
        (0.552, 0.098),
        (0.48, 0.080),
        (0.40, 0.105),
        (0.346, 0.18),
        (0.328, 0.30),
        (0.322, 0.42),
    ]
    left += [(0.345, 0.485), (0.385, 0.478), (0.392, 0.43), (0.374, 0.36), (0.374, 0.295)]
    left += [(0.405, 0.245), (0.47, 0.210), (0.535, 0.160)]
    right = [(0.545, 0.100), (0.60, 0.105), (0.652, 0.17), (0.672, 0.30), (0.678, 0.42)]
    right += [(0.655, 0.485), (0.615, 0.478), (0.608, 0.43), (0.626, 0.36), (0.628, 0.30)]
    right += [(0.612, 0.235), (0.575, 0.185), (0.545, 0.150)]
    return [paint.curve(back)], [paint.curve(right), paint.curve(left)], (0.545, 0.10), 0.0


def _long(who):
    back = [(0.335, 0.30), (0.345, 0.17), (0.41, 0.092), (0.5, 0.076), (0.59, 0.092), (0.655, 0.17)]
    back += [(0.665, 0.30), (0.69, 0.42), (0.70, 0.54), (0.71, 0.66), (0.66, 0.735), (0.60, 0.70)]
    back += [(0.5, 0.68), (0.40, 0.70), (0.34, 0.735), (0.29, 0.66), (0.30, 0.54), (0.31, 0.42)]
    left = [(0.533, 0.098), (0.47, 0.078), (0.40, 0.100), (0.348, 0.175), (0.332, 0.30)]
    left += [(0.312, 0.42), (0.308, 0.52), (0.330, 0.595), (0.362, 0.56), (0.376, 0.48)]
    left += [(0.372, 0.40), (0.366, 0.33), (0.386, 0.262), (0.44, 0.215), (0.512, 0.155)]
    right = [(0.520, 0.098), (0.58, 0.084), (0.630, 0.118), (0.660, 0.19), (0.668, 0.30)]
    right += [(0.688, 0.42), (0.692, 0.52), (0.670, 0.595), (0.638, 0.56), (0.624, 0.48)]
    right += [(0.628, 0.40), (0.634, 0.33), (0.622, 0.255), (0.585, 0.20), (0.535, 0.150)]
    return [paint.curve(back)], [paint.curve(right), paint.curve(left)], (0.527, 0.10), 0.05


def _bun(who):
    bun = paint.ellipse(0.5, 0.062, 0.062, 0.050)
    cap = [(0.362, 0.33), (0.352, 0.25), (0.362, 0.165), (0.42, 0.10), (0.5, 0.086)]
    cap += _mirror(cap[:-1])
    line = [(0.633, 0.30), (0.618, 0.235), (0.572, 0.19)]
    cap += line + [(0.5, 0.172)] + _mirror(line)
    return [bun], [paint.curve(cap)], (0.5, 0.05), 0.0


def _curly(who):
    """Returns locks around the head; those in front frame the forehead."""
    rng = np.random.default_rng(9)
    back = [paint.ellipse(0.5, 0.27, 0.19, 0.20)]
    front = []
    for angle in np.linspace(-2.25, 2.25, 26):
        x, y = 0.5 + 0.192 * np.sin(angle), 0.275 - 0.195 * np.cos(angle)
        back.append(paint.ellipse(x, y, *rng.uniform(0.028, 0.042, 2), rng.uniform(0, 3)))
    for ring, count in ((0.165, 20), (0.130, 17)):
        for angle in np.linspace(-1.62, 1.62, count):
            wide = ring + 0.012
            x, y = 0.5 + wide * np.sin(angle), 0.290 - (ring + 0.012) * np.cos(angle) * 0.98
            front.append(paint.ellipse(x, y, *rng.uniform(0.022, 0.032, 2), rng.uniform(0, 3)))
    return back, front, (0.5, 0.20), 0.3


_STYLES = {"short": _short, "bob": _bob, "long": _long, "bun": _bun, "curly": _curly}


def layers(who: Person, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Paints the hair behind the shoulders and over the brows, in the person's style."""
    back, front = paint.empty(side), paint.empty(side)
    shapes_back, shapes_front, parting, wavy = _STYLES[who.style](who)
    strands = _strands(who, side, *parting, wavy)
    for layer, shapes, dim in ((back, shapes_back, 0.66), (front, shapes_front, 1.0)):
        for shape in shapes:
            area = paint.mask(side, shape)
            light = paint.inflate(area, 0.055, 0.35) * 0.92 + strands
            paint.over(layer, area, paint.shade(who.hair, np.clip(dim * light, 0, 1)))
    return back, front
