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
    out.write(b"ready\n")
    out.flush()
    while len(data := sys.stdin.buffer.read(side * side * 3)) == side * side * 3:
        found = holistic.process(np.frombuffer(data, np.uint8).reshape(side, side, 3))
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
