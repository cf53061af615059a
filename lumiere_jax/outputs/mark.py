"""The invisible mark of a synthetic picture: a weak, still pattern in its luminance.

The pattern is a ring of spatial frequencies with random phases, stretched over the square of a
picture's long side and shifted to where the video's first picture resembles it most: what in the
picture would disturb a detector then helps it. It is periodic, so a cut is a shift of it. The same
for every picture of a video, it lasts where nothing moves, which is what an encoder keeps best.
"""

import functools
import math
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lumiere_jax.outputs.label import draw_label
from lumiere_jax.shapes import Picture

ENOUGH = 5.0
"""The strength from which a video counts as marked, see `strength`."""

# The mark of all videos there are: with another seed or ring they are not found any more.
SEED = 2019
RING = (14, 24)  # cycles a side: fewer drown in the picture, more die in the encoder
# Grey levels (root mean square) of luminance at 128 pixels a side; less where there are more of
# them, for an encoder spares what is large. The mean squared change of RGB is then under 1.6.
LEVELS, SIDE = 1.55, 128
# Of red, green and blue in the luminance of BT.709. Changed in these shares, the three channels
# change least for what the luminance gains.
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)

GRID = 96  # samples a side to which pictures are brought
# Steps of scale of 1% against the whole picture: down to two thirds of it, up to what surrounds
# it twice as wide.
SCALES = range(-40, 70)

Luminance = Float[np.ndarray, "_ _"]
Pixels = UInt8[np.ndarray, "_ _ 3"]


def marked(pictures: Iterable[Pixels]) -> Iterator[Picture]:
    """A video's synthetic pictures with both marks: in the pixels, and the label over it."""
    return map(draw_label, mark(pictures))


def mark(pictures: Iterable[Pixels]) -> Iterator[Pixels]:
    """Copies of a video's pictures with the mark."""
    more = less = np.zeros(0, np.uint8)
    for picture in pictures:
        if more.shape != picture.shape:
            change = _change(picture)
            more, less = (np.maximum(part, 0).astype(np.uint8) for part in (change, -change))
        yield cv2.subtract(cv2.add(picture, more), less)


def strength(luminances: Iterable[Luminance]) -> float:
    """How surely pictures of one video carry the mark, whatever was cut off or scaled since.

    Pictures that know nothing of the pattern come to s or more in fewer than one of 10^s videos:
    with random phases a correlation of z standard deviations has a chance below exp(-z²/2), and
    this is divided among all shifts and scales that are tried, one half to the whole picture.
    """
    total, count = None, 0
    for luminance in luminances:
        if total is None or luminance.shape == total.shape:
            total, count = luminance + (0 if total is None else total), count + 1
    if total is None:
        return 0.0
    mean = (total / count).astype(np.float32)
    found = 0.0
    for step in SCALES:
        tried = 2 * GRID**2 * (1 if step == 0 else len(SCALES) - 1)
        z = float(_correlation(mean, round(GRID * 1.01**step)).max())
        found = max(found, z**2 / 2 / math.log(10) - math.log10(tried))
    return found


def luminance(picture: Pixels) -> Luminance:
    return cv2.transform(picture, LUMA[None]).astype(np.float32)


def _change(first: Pixels) -> np.ndarray:
    """What is added to every picture of the video that begins with this one."""
    rows, cols = first.shape[:2]
    grey = luminance(first)
    likeness = _correlation(grey, GRID)
    y, x = np.unravel_index(likeness.argmax(), likeness.shape)
    pattern = _pattern(rows, cols, int(y) / GRID, int(x) / GRID)
    # Less where the picture is flat, for there it would be seen.
    side = max(rows, cols)
    _, activity = _local(grey, 1.5 * side / SIDE)
    pattern *= (1 + activity) ** 0.25
    pattern *= LEVELS * min(1.0, (SIDE / side) ** 0.25) / np.sqrt(np.mean(pattern**2))
    return np.rint(pattern[..., None] * (LUMA / (LUMA @ LUMA))).astype(np.int16)


def _pattern(rows: int, cols: int, down: float = 0, right: float = 0) -> np.ndarray:
    """The upper left part of the square pattern, shifted by shares of its side."""
    side, most = max(rows, cols), RING[1]
    waves = np.arange(-most, most + 1)
    y = np.exp(2j * np.pi * np.outer((np.arange(rows) + 0.5) / side - down, waves))
    x = np.exp(2j * np.pi * np.outer(waves[most:], (np.arange(cols) + 0.5) / side - right))
    return np.real(y @ _phases() @ x).astype(np.float32)


@functools.cache
def _phases() -> np.ndarray:
    """Coefficients of the waves, rows -24 to 24 by columns 0 to 24."""
    low, most = RING
    # RandomState's numbers are the same in every version of NumPy.
    turns = np.random.RandomState(SEED).random_sample((2 * most + 1, most + 1))
    radius = np.hypot(*np.ogrid[-most : most + 1, 0 : most + 1])
    ring = (low <= radius) & (radius <= most)
    ring[:most, 0] = False  # the mirror images of those below
    return ring * np.exp(2j * np.pi * turns)


@functools.cache
def _template() -> np.ndarray:
    """The pattern's conjugate spectrum on the grid, of absolute value 1 within the ring."""
    waves = np.fft.rfft2(_pattern(GRID, GRID))
    size = np.abs(waves)
    return np.where(size > size.max() / 10, waves.conj() / np.maximum(size, 1), 0)


def _correlation(grey: Luminance, side: int) -> np.ndarray:
    """With the pattern at every shift on the grid, in standard deviations, for a picture whose
    long side is `side` samples of it; of a larger one the middle is taken."""
    rows, cols = grey.shape
    scale = side / max(rows, cols)
    shape = max(1, round(cols * scale)), max(1, round(rows * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(grey, shape, interpolation=way)
    top, left = (max(0, extent - GRID) // 2 for extent in small.shape)
    small = small[top : top + GRID, left : left + GRID]
    fine, spread = _local(small, 0.6)
    # Where the picture is busy, it counts less; half whitened, so does a strong wave of its own.
    waves = np.fft.rfft2(fine / ((spread + 0.1) * np.sqrt(spread + 2)), (GRID, GRID))
    likeness = np.fft.irfft2(waves / np.sqrt(np.abs(waves) + 1e-6) * _template(), (GRID, GRID))
    return likeness / max(float(likeness.std()), 1e-9)


def _local(grey: Luminance, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """What is finer than `sigma` pixels, and its root mean square around each of them."""
    border = cv2.BORDER_REFLECT
    fine = grey - cv2.GaussianBlur(grey, (0, 0), sigma, borderType=border)
    around = cv2.GaussianBlur(fine**2, (0, 0), 2.5 * sigma, borderType=border)
    return fine, np.sqrt(np.maximum(around, 0))
