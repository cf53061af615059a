# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["mediapipe==0.10.21", "opencv-contrib-python-headless<4.12"]
#
# [tool.uv]
# override-dependencies = [
#     "jax ; sys_platform == 'never'",
#     "jaxlib ; sys_platform == 'never'",
#     "sounddevice ; sys_platform == 'never'",
#     "opencv-contrib-python ; sys_platform == 'never'",
# ]
# ///
"""MediaPipe Holistic as a separate program: pictures in at stdin, landmarks out at stdout.

It runs in its own environment, because mediapipe 0.10.21, the last release with the models inside
the wheel, needs NumPy 1. The overrides above skip dependencies that it does not use.

    holistic.py SIDE SIZE PARENT

It writes b"ready\\n", then one record for every picture. A picture is two bytes and SIDE x SIDE
RGB. The first byte is 1 where a new video begins, which resets all tracking. The second is the
index of the face to follow among those found (254: none, 255: the largest that persists so far).

A record has, in order:

    four bytes, 1 if found: body, face, left hand, right hand
    float32 landmarks in units of the picture: 33 x (x, y, visibility), 478 x (x, y), 21 x (x, y),
        21 x (x, y); zeros where not found
    float32 seconds that the picture took on one core
    float32 index of the face followed (-1: none)
    float32 boxes of eight faces (x0, y0, x1, y1; zeros: none)
    the person's silhouette at SIZE x SIZE as packed bits

The program ends with its input, or with the process PARENT.
"""

import os
import sys
import threading
import time

NONE, OWN = 254, 255
FACES = 8


def _end_with(parent: int) -> None:
    while True:
        try:
            os.kill(parent, 0)
        except OSError:
            os._exit(1)
        time.sleep(1)


def _points(landmarks, count: int, visibility: bool = False):
    import numpy as np

    if landmarks is None:
        return np.zeros((count, 3 if visibility else 2), np.float32)
    rows = [(p.x, p.y, p.visibility) if visibility else (p.x, p.y) for p in landmarks.landmark]
    return np.array(rows, np.float32)


class _Person:
    """Tracker of the largest face that persists.

    Faces are followed by the overlap of their boxes, and the one whose areas sum to the most so far
    is chosen. Holistic itself takes any one person.
    """

    def __init__(self, side: int):
        import mediapipe
        import numpy as np

        self.detector = mediapipe.solutions.face_detection.FaceDetection(  # pyright: ignore[reportAttributeAccessIssue]
            model_selection=1, min_detection_confidence=0.6
        )
        self.tracks: list[list] = []  # [box (x0, y0, x1, y1), sum of areas]
        self.grid = np.mgrid[:side, :side][::-1]

    def alone(self, picture, choice: int):
        """Blacks out pixels that are nearer to another's face, in widths of each face.

        Returns:
          The picture, all faces' boxes, and the index of the face followed (-1: none).
        """
        import numpy as np

        found = (self.detector.process(picture).detections or [])[:FACES]
        boxes = [face.location_data.relative_bounding_box for face in found]
        boxes = [(b.xmin, b.ymin, b.xmin + b.width, b.ymin + b.height) for b in boxes]
        own = self._follow(boxes) if choice == OWN else -1 if choice == NONE else choice
        if len(boxes) < 2 or own < 0:
            return picture, boxes, own
        distances = [self._distance(box, len(picture)) for box in boxes]
        nearest = (distances[own] <= np.min(distances, 0))[..., None]
        return np.where(nearest, picture, np.uint8(0)), boxes, own

    def _follow(self, boxes) -> int:
        followed = [self._track(box) for box in boxes]
        chosen = max(self.tracks, key=lambda track: track[1], default=None)
        return next((i for i, track in enumerate(followed) if track is chosen), -1)

    def _track(self, box) -> list:
        track = max(self.tracks, key=lambda track: _overlap(track[0], box), default=None)
        if track is None or _overlap(track[0], box) < 0.1:
            track = [box, 0.0]
            self.tracks.append(track)
        track[0] = box
        track[1] += (box[2] - box[0]) * (box[3] - box[1])
        return track

    def _distance(self, box, side: int):
        x, y = side * (box[0] + box[2]) / 2, side * (box[1] + box[3]) / 2
        squares = (self.grid[0] - x) ** 2 + (self.grid[1] - y) ** 2
        return squares / (side * max(box[2] - box[0], 1e-3)) ** 2


def _overlap(a, b) -> float:
    """Returns the intersection over union of two boxes."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / max(areas - width * height, 1e-9)


def main(side: int, size: int, parent: int) -> None:
    """Serves records for pictures of `side`, with silhouettes of `size`, until the input ends."""
    # Libraries print to file descriptor 1: keep it for the records alone.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    sys.path.pop(0)  # this file's folder, where mediapipe.py is our own
    import cv2
    import mediapipe
    import numpy as np

    holistic = mediapipe.solutions.holistic.Holistic(  # pyright: ignore[reportAttributeAccessIssue]
        static_image_mode=False,
        model_complexity=1,
        refine_face_landmarks=True,
        enable_segmentation=True,
    )
    out.write(b"ready\n")
    out.flush()
    while len(data := sys.stdin.buffer.read(2 + side * side * 3)) == 2 + side * side * 3:
        begin = time.process_time()
        if data[0]:
            holistic.reset()
            person = _Person(side)
        picture = np.frombuffer(data, np.uint8, offset=2).reshape(side, side, 3)
        picture, boxes, own = person.alone(picture, data[1])
        found = holistic.process(picture)
        parts = (
            found.pose_landmarks,
            found.face_landmarks,
            found.left_hand_landmarks,
            found.right_hand_landmarks,
        )
        out.write(bytes(part is not None for part in parts))
        for part, count in zip(parts, (33, 478, 21, 21), strict=True):
            out.write(_points(part, count, visibility=count == 33).tobytes())
        mask = found.segmentation_mask
        mask = np.zeros((size, size), np.float32) if mask is None else mask
        mask = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA)
        faces = np.zeros((FACES, 4), np.float32)
        faces[: len(boxes)] = np.reshape(boxes, (-1, 4))
        out.write(np.array([time.process_time() - begin, own], np.float32).tobytes())
        out.write(faces.tobytes())
        out.write(np.packbits(mask > 0.5).tobytes())
        out.flush()


if __name__ == "__main__" and len(sys.argv) > 1:  # without arguments: is it installed?
    main(*map(int, sys.argv[1:]))
