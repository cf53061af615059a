"""Alignment of faces to one place and size, and back (Vougioukas et al. 2018, 4.1).

A similarity maps five points that hardly move in speech, the base of the nose and the corners of
the eyes, to those of the mean face. Transforms are (2, 3), in pixels with whole numbers at their
centres; keypoints are in units of their picture.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lumiere_jax.figures.face import mean_face
from lumiere_jax.keypoints import FACE
from lumiere_jax.shapes import Keypoints, Picture

POINTS = (33, 36, 39, 42, 45)
# Width of the mean face in units of cols, and the middle of its eyes in units of cols and rows.
WIDTH, EYES = 0.75, (0.5, 0.41)
# Weights over two frames on either side, so the estimator's jitter does not shake the picture.
SMOOTHING = np.array([1, 4, 6, 4, 1]) / 16
# Largest oversampling of a face before its pixels are averaged.
FINEST = 8
# A face enlarged by more than this factor stays blurred.
ENLARGED = 2.0
# A pasted face fades out over this share of its cols and rows.
FADE = 0.15

Affine = Float[np.ndarray, "2 3"]
Face = UInt8[np.ndarray, "_ _ 3"]


def _pixels(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Converts units of a picture of rows and cols to its pixels."""
    return points * np.array(shape[::-1]) - 0.5


def _target(shape: tuple[int, int]) -> np.ndarray:
    """Returns the five points of an aligned face, in pixels."""
    face, _ = mean_face()
    return _pixels(np.array(EYES), shape) + face[list(POINTS)] * WIDTH * shape[1]


def alignments(
    keypoints: Float[np.ndarray, "time 137 3"], source: tuple[int, int], shape: tuple[int, int]
) -> Float[np.ndarray, "time 2 3"]:
    """Computes each frame's transform to its aligned face.

    The fit is by least squares, on points smoothed over time.

    Args:
      keypoints: Of neighbouring frames, each with a face.
      source: Rows and cols of the pictures.
      shape: Rows and cols of the aligned faces.
    """
    points = np.asarray(keypoints, np.float64)[:, [FACE.start + i for i in POINTS], :2]
    edge = len(SMOOTHING) // 2
    padded = np.pad(points, ((edge, edge), (0, 0), (0, 0)), mode="edge")
    smooth = np.sum([w * padded[i : i + len(points)] for i, w in enumerate(SMOOTHING)], axis=0)
    pixels, target = _pixels(smooth, source), _target(shape)
    # A similarity is a product and a sum of complex numbers.
    a, b = (p[..., 0] + 1j * p[..., 1] for p in (pixels, target))
    a0, b0 = a.mean(-1), b.mean(-1)
    a, b = a - a0[:, None], b - b0
    turn = (a.conj() * b).sum(-1) / np.maximum((abs(a) ** 2).sum(-1), 1e-9)
    shift = b0 - turn * a0
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.moveaxis(np.array(rows), -1, 0)


def align(picture: Picture, transform: Affine, shape: tuple[int, int]) -> Face:
    """Cuts the aligned face out of a picture; beyond the picture, its edge is repeated."""
    finer = int(np.clip(np.ceil(1 / np.hypot(*transform[:, 0])), 1, FINEST))
    # Pixel p is the middle of the fine pixels finer · p to finer · (p + 1) - 1.
    fine = finer * transform
    fine[:, 2] += (finer - 1) / 2
    rows, cols = (finer * n for n in shape)
    face = cv2.warpAffine(
        picture, fine, (cols, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.resize(face, shape[::-1], interpolation=cv2.INTER_AREA) if finer > 1 else face


def moved(
    keypoints: Keypoints, transform: Affine, source: tuple[int, int], shape: tuple[int, int]
) -> Float[np.ndarray, "137 3"]:
    """Converts keypoints (137, 3) of a picture to units of its aligned face."""
    points = np.array(keypoints, np.float32)
    pixels = _pixels(points[:, :2], source) @ transform[:, :2].T + transform[:, 2]
    points[:, :2] = (pixels + 0.5) / np.array(shape[::-1])
    return points


def paster(picture: Picture, transform: Affine, shape: tuple[int, int]) -> Callable:
    """Returns a function that pastes faces of `shape` where `align` took one, with soft edges."""
    rows, cols = shape
    corners = np.array([(0, 0), (cols, 0), (0, rows), (cols, rows)]) - 0.5
    back = cv2.invertAffineTransform(transform)
    there = corners @ back[:, :2].T + back[:, 2]
    low = np.maximum(np.floor(there.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(there.max(0)).astype(int) + 1, picture.shape[1::-1])
    back[:, 2] -= low
    size = tuple(map(int, high - low))
    fade = np.minimum.outer(*(_ramp(n) for n in shape)).astype(np.float32)
    weight = cv2.warpAffine(fade, back, size, flags=cv2.INTER_LINEAR)[..., None]
    area = (slice(low[1], high[1]), slice(low[0], high[0]))
    ground = (1 - weight) * picture[area]

    def paste(face: Face) -> Picture:
        warped = cv2.warpAffine(
            face, back, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        result = picture.copy()
        result[area] = np.rint(ground + weight * warped).astype(np.uint8)
        return result

    return paste


def _ramp(pixels: int) -> np.ndarray:
    """Returns weights that rise smoothly from 0 at both ends to 1 within `FADE`."""
    place = (np.arange(pixels) + 0.5) / pixels
    share = np.clip(np.minimum(place, 1 - place) / FADE, 0, 1)
    return share * share * (3 - 2 * share)
