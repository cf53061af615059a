"""Mouth measures from the pose estimator's landmarks, for real and synthesised frames.

Frames are uint8 (time, rows, cols, 3), whatever estimator the footage's figures come from.
Keypoints are in shares of a frame's sides. Measures are NaN where a frame has no face.
"""

import queue
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lumiere_jax.keypoints import CHIN, LANDMARKS, LIPS, NOSE_BRIDGE, of_person
from lumiere_jax.shapes import Keypoints, Picture

Frames = UInt8[np.ndarray, "time rows cols 3"]
Find = Callable[[Frames], Float[np.ndarray, "time 137 3"]]


@contextmanager
def open_finder() -> Iterator[Find]:
    """Yields a function that finds keypoints in a video's frames, called with pieces in order.

    Frames that are not square are padded to a square first.

    Raises:
      UserError: MediaPipe's program cannot start.
    """
    # Imported here: measuring a drawn face needs neither the estimator nor its video reader.
    from lumiere_jax.inputs.poses.mediapipe import SIDE, read_landmarks

    pictures: queue.SimpleQueue = queue.SimpleQueue()

    def arriving() -> Iterator[Picture]:
        while (picture := pictures.get()) is not None:
            yield picture

    landmarks: Any = read_landmarks(arriving(), 8)
    with closing(landmarks) as found:

        def find(frames: Frames) -> Float[np.ndarray, "time 137 3"]:
            rows, cols = frames.shape[1:3]
            side = max(rows, cols)
            top, left = (side - rows) // 2, (side - cols) // 2
            edges = top, side - rows - top, left, side - cols - left
            for frame in frames:
                square = cv2.copyMakeBorder(frame, *edges, cv2.BORDER_REPLICATE)
                pictures.put(cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
            keypoints = np.stack([next(found)[0] for _ in frames])
            keypoints[..., :2] = (keypoints[..., :2] * side - (left, top)) / (cols, rows)
            return keypoints

        try:
            find(np.zeros((1, 8, 8, 3), np.uint8))
            yield find
        finally:
            pictures.put(None)


def mouth_points(keypoints: Keypoints, shape: tuple[int, int]) -> Float[np.ndarray, "time 20 2"]:
    """Returns the outer and inner lips (points 48 to 67 of the 68) in pixels.

    NaN for points that were not found. `shape` is the frames' rows and columns.
    """
    points = np.array(keypoints[:, of_person(LIPS)], np.float64)
    points[points[:, :, 2] <= 0] = np.nan
    return points[..., :2] * (shape[1], shape[0])


def aperture(keypoints: Keypoints, shape: tuple[int, int]) -> Float[np.ndarray, " time"]:
    """Computes the mouth's opening as a share of the face's height.

    The opening is the mean distance of three pairs of inner lip points (61 to 63 and 67 to 65). The
    height is measured from between the eyes (27) to the chin (8).
    """
    face = np.array(keypoints[:, of_person(LANDMARKS)], np.float64)
    face[face[:, :, 2] <= 0] = np.nan
    xy = face[..., :2] * (shape[1], shape[0])
    opening = np.linalg.norm(xy[:, [61, 62, 63]] - xy[:, [67, 66, 65]], axis=-1).mean(1)
    return opening / np.linalg.norm(xy[:, CHIN] - xy[:, NOSE_BRIDGE], axis=-1)
