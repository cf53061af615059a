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
"""MediaPipe Holistic as a program of its own: pictures in at stdin, landmarks out at stdout.

It runs in its own environment, because mediapipe 0.10.21, the last release with the models inside
the wheel, wants NumPy 1; what it would install for nothing is overridden above.

    holistic.py SIDE SIZE PARENT

It writes b"ready\\n", then for every SIDE x SIDE RGB picture one record: four bytes that tell what
was found (body, face, left hand, right hand), float32 landmarks in units of the picture (33 x (x,
y, visibility), 478 x (x, y), 21 x (x, y), 21 x (x, y); zeros where not found), and the person's
silhouette at SIZE x SIZE as packed bits. It ends with its input, or with the process PARENT.
"""

import os
import sys
import threading
import time


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
    """The largest face that persists: faces are followed by the overlap of their boxes, and the
    one whose areas sum to the most so far is chosen. Holistic itself takes any one person."""

    def __init__(self, side: int):
        import mediapipe
        import numpy as np

        self.detector = mediapipe.solutions.face_detection.FaceDetection(  # pyright: ignore[reportAttributeAccessIssue]
            model_selection=1, min_detection_confidence=0.6
        )
        self.tracks: list[list] = []  # [box (x0, y0, x1, y1), sum of areas]
        self.grid = np.mgrid[:side, :side][::-1]

    def alone(self, picture):
        """The picture without what is nearer to another's face, in widths of each face."""
        import numpy as np

        found = self.detector.process(picture).detections or []
        boxes = [face.location_data.relative_bounding_box for face in found]
        boxes = [(b.xmin, b.ymin, b.xmin + b.width, b.ymin + b.height) for b in boxes]
        followed = [self._track(box) for box in boxes]
        chosen = max(self.tracks, key=lambda track: track[1], default=None)
        if len(boxes) < 2 or not any(track is chosen for track in followed):
            return picture
        distances = [self._distance(box, len(picture)) for box in boxes]
        own = next(d for d, t in zip(distances, followed, strict=True) if t is chosen)
        return np.where((own <= np.min(distances, 0))[..., None], picture, np.uint8(0))

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
    """Intersection over union of two boxes."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / max(areas - width * height, 1e-9)


def main(side: int, size: int, parent: int) -> None:
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
    person = _Person(side)
    out.write(b"ready\n")
    out.flush()
    while len(data := sys.stdin.buffer.read(side * side * 3)) == side * side * 3:
        picture = np.frombuffer(data, np.uint8).reshape(side, side, 3)
        found = holistic.process(person.alone(picture))
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
        out.write(np.packbits(mask > 0.5).tobytes())
        out.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
