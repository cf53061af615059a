"""A still picture of a face: read, found, aligned."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.faces.alignment import (
    ENLARGED,
    Affine,
    Face,
    align,
    alignments,
)
from lumiere_jax.inputs.footage.photographs import decode_photograph
from lumiere_jax.inputs.poses.mediapipe import SIDE, Estimate, open_estimator
from lumiere_jax.keypoints import FACE
from lumiere_jax.shapes import Picture

# Largest side of a pasted video's frame, and most bytes of a file.
LARGEST, LARGEST_FILE = 1920, 2**28
# A face's share of the square in which it is looked for a second time.
CLOSE = 0.5


@dataclass(frozen=True)
class Still:
    """A picture, its aligned face, and the transform between them."""

    picture: Picture
    face: Face
    transform: Affine


def find_face(path: Path, picture: Picture, shape: tuple[int, int]) -> Still:
    """Finds and aligns the face in a picture, the largest of several.

    A picture of exactly this shape is taken for an aligned face.

    Args:
      path: File of the picture, for messages.
      picture: RGB of any shape.
      shape: Rows and cols of the aligned face.

    Raises:
      UserError: no face is found in it.
    """
    if picture.shape[:2] == shape:
        tqdm.write(f"{path} has the size of an aligned face, and is taken for one.")
        return Still(picture, picture, np.eye(2, 3))
    with open_estimator(8) as estimate:
        keypoints, faces = _look(estimate, picture, _whole(picture))
        if not _has_face(keypoints):
            raise UserError(
                f"{path}: no face is found in it: give a picture in which one face is seen from "
                "the front."
            )
        if faces > 1:
            tqdm.write(f"{path}: {faces} faces are found; the largest is taken.")
        again, _ = _look(estimate, picture, _around(keypoints))
    keypoints = again if _has_face(again) else keypoints
    rows, cols = picture.shape[:2]
    keypoints[:, :2] /= (cols, rows)
    (transform,) = alignments(keypoints[None], (rows, cols), shape)
    if (larger := float(np.hypot(*transform[:, 0]))) > ENLARGED:
        tqdm.write(
            f"warning: {path}: its face is enlarged {larger:.1f} times, and stays blurred: give a "
            "larger picture."
        )
    return Still(picture, align(picture, transform, shape), transform)


def read_picture(path: Path) -> Picture:
    """Reads a PNG or a JPEG as RGB, as a viewer shows it.

    It is scaled to at most `LARGEST` on a side, with even rows and cols, as videos need them.

    Raises:
      UserError: the file cannot be read, or is neither.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE >> 20} MB")
        picture = decode_photograph(path.read_bytes(), lambda what: tqdm.write(f"{path}: {what}."))
    except OSError as error:
        raise UserError(f"--image={path}: {error.strerror}: name a picture.") from error
    except ValueError as error:
        raise UserError(f"--image={path}: {error}: give a PNG or a JPEG.") from error
    rows, cols = picture.shape[:2]
    scale = min(1.0, LARGEST / max(rows, cols))
    size = [max(2, round(scale * n / 2) * 2) for n in (cols, rows)]
    if size != [cols, rows]:
        return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture)


Square = tuple[float, float, float]
"""Left and upper edge, and side, in pixels; it may extend beyond its picture."""


def _whole(picture: Picture) -> Square:
    rows, cols = picture.shape[:2]
    side = max(rows, cols)
    return (cols - side) / 2, (rows - side) / 2, float(side)


def _around(keypoints: Float[np.ndarray, "137 3"]) -> Square:
    face = keypoints[FACE, :2]
    side = float(np.ptp(face, axis=0).max()) / CLOSE
    x, y = (face.min(0) + face.max(0)) / 2 - side / 2
    return float(x), float(y), side


def _has_face(keypoints: np.ndarray) -> bool:
    return bool((keypoints[FACE, 2] > 0).all())


def _look(
    estimate: Estimate, picture: Picture, square: Square
) -> tuple[Float[np.ndarray, "137 3"], int]:
    """Returns keypoints in pixels of the picture, and the number of faces in a square of it."""
    x, y, side = square
    scale = SIDE / side
    # Pixels have whole numbers at their centres.
    edge = (scale - 1) / 2
    transform = np.array([(scale, 0, edge - scale * x), (0, scale, edge - scale * y)])
    (found,) = estimate([align(picture, transform, (SIDE, SIDE))])
    keypoints = found.keypoints.copy()
    keypoints[:, :2] = keypoints[:, :2] * side + (x, y)
    return keypoints, int(found.faces.any(1).sum())
