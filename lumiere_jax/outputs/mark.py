"""The invisible mark of a synthetic video: a weak static pattern in its luminance.

The pattern is a ring of spatial frequencies with random phases. It covers a square of the picture's
long side, shifted to where the first picture correlates with it most. Picture content then helps a
detector instead of disturbing it. The pattern is periodic, so cropping only shifts it. It is the
same in every picture of a video, and encoders preserve static content best.
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
"""Least `strength` of a video that counts as marked."""

# Changing the seed or the ring makes the marks of existing videos undetectable.
SEED = 2019
RING = (14, 24)  # cycles per side: lower ones drown in the picture, the encoder removes higher ones
# Root mean square of the mark in grey levels of luminance, at 128 pixels a side. Larger pictures
# need less, since an encoder preserves coarser patterns. RGB's mean squared change is below 1.6.
LEVELS, SIDE = 1.55, 128
# Weights of red, green and blue in the luminance of BT.709. A change in proportion to them alters
# the three channels least for a given change of luminance.
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)

GRID = 96  # side of the grid that pictures are resampled to
# Powers of 1.01 that the detector tries as scales: from two thirds of the grid to twice its side.
SCALES = range(-40, 70)

Luminance = Float[np.ndarray, "_ _"]
Pixels = UInt8[np.ndarray, "_ _ 3"]


def marked(pictures: Iterable[Pixels]) -> Iterator[Picture]:
    """Yields a video's pictures with the invisible mark and the visible label."""
    return map(draw_label, mark(pictures))


def mark(pictures: Iterable[Pixels]) -> Iterator[Pixels]:
    """Yields copies of a video's pictures with the invisible mark."""
    more = less = np.zeros(0, np.uint8)
    for picture in pictures:
        if more.shape != picture.shape:
            change = _change(picture)
            more, less = (np.maximum(part, 0).astype(np.uint8) for part in (change, -change))
        yield cv2.subtract(cv2.add(picture, more), less)


def strength(luminances: Iterable[Luminance]) -> float:
    """Measures the evidence that a video carries the mark, also after cropping or scaling.

    Args:
      luminances: Luminances of the video's pictures.

    Returns:
      Strength s: an unmarked video reaches s or more with a probability below 10^-s. With random
      phases, a correlation of z standard deviations has a probability below exp(-z²/2). This is
      corrected for all shifts and scales tried; half of the probability goes to the original scale.
      0 for a video without pictures.
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
    """Returns the change of RGB for every picture of the video that begins with this one."""
    rows, cols = first.shape[:2]
    grey = luminance(first)
    likeness = _correlation(grey, GRID)
    y, x = np.unravel_index(likeness.argmax(), likeness.shape)
    pattern = _pattern(rows, cols, int(y) / GRID, int(x) / GRID)
    # Weaker in flat regions, where the mark would be visible.
    side = max(rows, cols)
    _, activity = _local(grey, 1.5 * side / SIDE)
    pattern *= (1 + activity) ** 0.25
    pattern *= LEVELS * min(1.0, (SIDE / side) ** 0.25) / np.sqrt(np.mean(pattern**2))
    return np.rint(pattern[..., None] * (LUMA / (LUMA @ LUMA))).astype(np.int16)


def _pattern(rows: int, cols: int, down: float = 0, right: float = 0) -> np.ndarray:
    """Returns the upper left part of the square pattern, shifted by shares of its side."""
    side, most = max(rows, cols), RING[1]
    waves = np.arange(-most, most + 1)
    y = np.exp(2j * np.pi * np.outer((np.arange(rows) + 0.5) / side - down, waves))
    x = np.exp(2j * np.pi * np.outer(waves[most:], (np.arange(cols) + 0.5) / side - right))
    return np.real(y @ _phases() @ x).astype(np.float32)


@functools.cache
def _phases() -> np.ndarray:
    """Returns the pattern's Fourier coefficients, rows -24 to 24 by columns 0 to 24."""
    low, most = RING
    # RandomState's numbers are the same in every version of NumPy.
    turns = np.random.RandomState(SEED).random_sample((2 * most + 1, most + 1))
    radius = np.hypot(*np.ogrid[-most : most + 1, 0 : most + 1])
    ring = (low <= radius) & (radius <= most)
    ring[:most, 0] = False  # mirror images of the rows below
    return ring * np.exp(2j * np.pi * turns)


@functools.cache
def _template() -> np.ndarray:
    """Returns the pattern's conjugate spectrum on the grid, of magnitude 1 within the ring."""
    waves = np.fft.rfft2(_pattern(GRID, GRID))
    size = np.abs(waves)
    return np.where(size > size.max() / 10, waves.conj() / np.maximum(size, 1), 0)


def _correlation(grey: Luminance, side: int) -> np.ndarray:
    """Correlates a picture with the pattern at every shift on the grid, in standard deviations.

    The picture's long side is resampled to `side` samples; the middle of a larger one is used.
    """
    rows, cols = grey.shape
    scale = side / max(rows, cols)
    shape = max(1, round(cols * scale)), max(1, round(rows * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(grey, shape, interpolation=way)
    top, left = (max(0, extent - GRID) // 2 for extent in small.shape)
    small = small[top : top + GRID, left : left + GRID]
    fine, spread = _local(small, 0.6)
    # Busy regions get less weight, and half whitening weakens the picture's own strong waves.
    waves = np.fft.rfft2(fine / ((spread + 0.1) * np.sqrt(spread + 2)), (GRID, GRID))
    likeness = np.fft.irfft2(waves / np.sqrt(np.abs(waves) + 1e-6) * _template(), (GRID, GRID))
    return likeness / max(float(likeness.std()), 1e-9)


def _local(grey: Luminance, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the detail finer than `sigma` pixels, and its local root mean square."""
    border = cv2.BORDER_REFLECT
    fine = grey - cv2.GaussianBlur(grey, (0, 0), sigma, borderType=border)
    around = cv2.GaussianBlur(fine**2, (0, 0), 2.5 * sigma, borderType=border)
    return fine, np.sqrt(np.maximum(around, 0))
