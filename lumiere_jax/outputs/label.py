"""The visible label of a synthetic picture."""

import functools

import cv2
import numpy as np

from lumiere_jax.shapes import Picture

WORD = "SYNTHETIC"
SHARE = 0.04
# Opacity of the picture under the label's dark background.
SHOWING = 0.3
# Letters of 3x5 pixels, the only ones that fit 4% of 64x64; E is two wide for the same reason.
LETTERS = {
    "S": ["###", "#..", "###", "..#", "###"],
    "Y": ["#.#", "#.#", ".#.", ".#.", ".#."],
    "N": ["##.", "#.#", "#.#", "#.#", "#.#"],
    "T": ["###", ".#.", ".#.", ".#.", ".#."],
    "H": ["#.#", "#.#", "###", "#.#", "#.#"],
    "E": ["##", "#.", "##", "#.", "##"],
    "I": ["#", "#", "#", "#", "#"],
    "C": ["###", "#..", "#..", "#..", "###"],
}


def draw_label(picture: Picture) -> Picture:
    """Returns a copy with the word SYNTHETIC in the lower right corner, on at most 4% of the area.

    Args:
      picture: (rows, cols, 3) uint8.
    """
    mask = _mask(*picture.shape[:2])
    rows, cols = mask.shape
    marked = picture.copy()
    corner = marked[picture.shape[0] - rows :, picture.shape[1] - cols :]
    shade = corner * np.float32(SHOWING)
    corner[:] = (shade + (255 - shade) * mask[..., None]).round().astype(np.uint8)
    return marked


@functools.cache
def _mask(rows: int, cols: int) -> np.ndarray:
    """Renders the label's letters, 0 to 1, as large as the permitted area allows."""
    area = SHARE * rows * cols
    for margin in (1, 0):
        small = np.pad(_small(), margin)
        if small.size <= area and small.shape[1] <= cols:
            break
    if rows * cols < 96 * 96:
        return small
    large = _large()
    height = int((area * large.shape[0] / large.shape[1]) ** 0.5)
    width = min(int(area // height), cols)
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)


def _small() -> np.ndarray:
    lines = [".".join(LETTERS[letter][row] for letter in WORD) for row in range(5)]
    return np.array([[mark == "#" for mark in line] for line in lines], np.float32)


def _large() -> np.ndarray:
    """Renders the word in outline letters, larger than any label, to be scaled down."""
    face, scale, weight = cv2.FONT_HERSHEY_SIMPLEX, 4.0, 14
    (width, height), _ = cv2.getTextSize(WORD, face, scale, weight)
    margin = height // 3
    canvas = np.zeros((height + 2 * margin, width + 2 * margin), np.uint8)
    cv2.putText(canvas, WORD, (margin, margin + height), face, scale, 255, weight, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255
