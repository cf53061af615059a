"""Keypoints from a folder of OpenPose's JSON: BODY_25, face and hands, one file a source frame."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lumiere_jax.errors import UserError
from lumiere_jax.files import read_json
from lumiere_jax.inputs.poses import pose_folder
from lumiere_jax.keypoints import BODY, FACE, LEFT_HAND, POINTS, RIGHT_HAND, count

_PARTS = {
    "pose_keypoints_2d": BODY,
    "face_keypoints_2d": FACE,
    "hand_left_keypoints_2d": LEFT_HAND,
    "hand_right_keypoints_2d": RIGHT_HAND,
}
_SEEN = 0.05
_CROWD = 1000


def read_people(path: Path) -> Float[np.ndarray, "people 137 3"]:
    """Reads everyone in one of OpenPose's files, in source pixels; absent parts are zeros.

    Raises:
      UserError: the file cannot be read, is of another model, or is not in pixels.
    """
    try:
        people = read_json(path)["people"]
        if len(people) > _CROWD:
            raise ValueError(f"it holds {len(people)} people")
        keypoints = np.zeros((len(people), POINTS, 3), np.float32)
        for person, found in zip(people, keypoints, strict=True):
            for name, part in _PARTS.items():
                points = count(part)
                numbers = np.asarray(person.get(name) or np.zeros(3 * points), np.float64)
                if numbers.shape != (3 * points,):
                    raise ValueError(f"{name} holds {numbers.size} numbers, not {3 * points}")
                if not (np.abs(numbers) < 1e6).all():
                    raise ValueError(f"{name} holds numbers that are no keypoints")
                found[part] = numbers.reshape(points, 3)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise UserError(
            f"{path} is not a file of OpenPose's BODY_25 model ({type(error).__name__}: {error}); "
            "write it with --model_pose BODY_25 --write_json."
        ) from error
    seen = keypoints[..., 2] > 0
    if (seen.sum(-1) > 5).any() and keypoints[seen][:, :2].max() <= 1:
        raise UserError(f"{path} is not in pixels; run OpenPose with --keypoint_scale 0.")
    return keypoints


def _boxes(people: np.ndarray) -> np.ndarray:
    boxes = np.zeros((len(people), 4))
    for box, person in zip(boxes, people, strict=True):
        points = person[person[:, 2] > _SEEN, :2]
        if len(points):
            box[:] = (*points.min(0), *points.max(0))
    return boxes


def read_keypoints(
    folder: Path, clip: Path, square: tuple[int, int, int], sources: np.ndarray
) -> Iterator[Float[np.ndarray, "137 3"]]:
    """Yields keypoints of the largest person that persists, for each source frame in `sources`.

    Args:
      square: x, y and side of the crop; keypoints are in its units.
      sources: Indices of source frames.

    Yields:
      Keypoints; zeros where the person is missing.

    Raises:
      UserError: the folder has no files, damaged ones, or not one for each source frame.
    """
    files = sorted(folder.glob("*.json"), key=lambda file: pose_folder.natural(file.name))
    if not files:
        raise UserError(f"{folder} holds no *.json; write them with OpenPose's --write_json.")
    pose_folder.check_number(len(files), folder, clip)
    chosen = pose_folder.follow([_boxes(read_people(file)) for file in files])
    x, y, side = square
    for source in sources:
        keypoints = np.zeros((POINTS, 3), np.float32)
        if chosen[source] >= 0:
            keypoints = read_people(files[source])[chosen[source]]
            keypoints[:, :2] = (keypoints[:, :2] - (x, y)) / side
            keypoints[keypoints[:, 2] <= 0] = 0
        yield keypoints
