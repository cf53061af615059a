"""Landmarks and silhouettes from MediaPipe Holistic, which runs as a separate program."""

import os
import platform
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import uv
from jaxtyping import Bool, Float
from packaging.specifiers import SpecifierSet
from tqdm import tqdm

from lumiere_jax.errors import UserError
from lumiere_jax.keypoints import FACE, LEFT_HAND, POINTS, RIGHT_HAND
from lumiere_jax.shapes import Picture

SIDE = 512
"""Side, in pixels, of the program's pictures: the hands' and the face's models need it."""

_PROGRAM = Path(__file__).with_name("holistic.py")

# BODY_25 from the 33 pose landmarks; neck and middle of the hips are means, the small toes absent.
_BODY = {0: (0,), 1: (11, 12), 2: (12,), 3: (14,), 4: (16,), 5: (11,), 6: (13,), 7: (15,)}
_BODY |= {8: (23, 24), 9: (24,), 10: (26,), 11: (28,), 12: (23,), 13: (25,), 14: (27,)}
_BODY |= {15: (5,), 16: (2,), 17: (8,), 18: (7,), 19: (31,), 21: (29,), 22: (32,), 24: (30,)}
# The face's 68 landmarks and two pupils from the 478 of the mesh; pairs are averaged. The jaw runs
# from the person's right ear, at the picture's left, as the brows, eyes and lips do.
_JAW = [127, 234, 93, (132, 58), (58, 172), 136, 150, 176, 152]
_JAW += [400, 379, 365, (397, 288), 361, 323, 454, 356]
_BROWS = [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
_NOSE = [(168, 6), (197, 195), 5, 4, 75, 97, 2, 326, 305]
_EYES = [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
_LIPS = [61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91, 78, 82, 13, 312, 308, 317, 14, 87]
_MESH = [*_JAW, *_BROWS, *_NOSE, *_EYES, *_LIPS, 468, 473]
_FACE_PAIRS = np.array([pair if isinstance(pair, tuple) else (pair, pair) for pair in _MESH])


FACES = 8
_NONE, _OWN = 254, 255


@dataclass(frozen=True)
class Found:
    """Results for one picture.

    Attributes:
      silhouette: The person's pixels.
      faces: Boxes (x0, y0, x1, y1) of all faces; zeros: none.
      followed: Index of the face that was followed; -1: none.
      seconds: Computing time on one core.
    """

    keypoints: Float[np.ndarray, "137 3"]
    silhouette: Bool[np.ndarray, "size size"]
    faces: Float[np.ndarray, "8 4"]
    followed: int
    seconds: float


Estimate = Callable[..., Iterator[Found]]


def to_keypoints(
    pose: Float[np.ndarray, "33 3"] | None,
    face: Float[np.ndarray, "478 2"] | None,
    left_hand: Float[np.ndarray, "21 2"] | None,
    right_hand: Float[np.ndarray, "21 2"] | None,
) -> Float[np.ndarray, "137 3"]:
    """Converts MediaPipe's landmarks to the 137 keypoints of `lumiere_jax.keypoints`.

    None means not found. The confidence is the visibility in the body, 1 in face and hands, and 0
    where nothing is found.
    """
    keypoints = np.zeros((POINTS, 3), np.float32)
    if pose is not None:
        for target, sources in _BODY.items():
            keypoints[target] = pose[list(sources)].mean(0)
            keypoints[target, 2] = pose[list(sources), 2].min()
    if face is not None:
        face = face[_FACE_PAIRS].mean(1)
    for part, points in ((FACE, face), (LEFT_HAND, left_hand), (RIGHT_HAND, right_hand)):
        if points is not None:
            keypoints[part] = np.insert(points, 2, 1, axis=1)
    return keypoints


def _last_line(errors) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else "no message"


def _python_wanted() -> str:
    """Returns the Pythons that the program's header allows, as ">=3.11,<3.13"; "" for any."""
    found = re.search(r'^# requires-python = "(.*)"', _PROGRAM.read_text(), re.MULTILINE)
    return found[1] if found else ""


def _is_own_python_allowed() -> bool:
    return SpecifierSet(_python_wanted()).contains(platform.python_version(), prereleases=True)


def _command(*extra: str) -> list[str]:
    """Returns uv's command; uv takes this Python if the header allows it, else finds another."""
    own = ["--python", sys.executable] if _is_own_python_allowed() else []
    command = [uv.find_uv_bin(), "run", "--no-project", "--no-progress", *extra]
    return [*command, *own, "--script", str(_PROGRAM)]


def _environment() -> dict[str, str]:
    """Returns this environment without variables that lead to another Python or its packages."""
    leading = ("PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in leading}


def install() -> None:
    """Installs the program unless it is there, with a message: this may take a minute."""
    quiet: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    quiet |= {"stderr": subprocess.DEVNULL, "env": _environment()}
    if subprocess.run(_command("--offline"), **quiet).returncode:
        tqdm.write("installing the pose program (once) ...", file=sys.stderr)
        with tempfile.TemporaryFile() as errors:
            if subprocess.run(_command(), **(quiet | {"stderr": errors})).returncode:
                raise _cannot_start(_last_line(errors))


def _cannot_start(message: str) -> UserError:
    bring = "or bring poses with --figure=openpose or --figure=densepose and --poses=DIR."
    if not _is_own_python_allowed():
        find = [uv.find_uv_bin(), "python", "find", "--no-project", "--script", str(_PROGRAM)]
        if subprocess.run(find, capture_output=True, env=_environment()).returncode:
            wanted = _python_wanted()
            return UserError(
                f"The pose program {_PROGRAM.name} needs Python {wanted}, and none is found: "
                f"install one, as by uv python install '{wanted}'; {bring}"
            )
    return UserError(
        f"The pose program {_PROGRAM.name} cannot start ({message}): its first start installs "
        f"mediapipe and needs a network once; {bring}"
    )


@contextmanager
def _program(size: int) -> Iterator[subprocess.Popen]:
    """Starts the program and yields it once it is ready.

    The first try uses what an earlier run installed; the second may install it.
    """
    arguments = [str(SIDE), str(size), str(os.getpid())]
    message = ""
    for extra in (["--offline"], []):
        with tempfile.TemporaryFile() as errors:
            program = subprocess.Popen(
                [*_command(*extra), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(),
            )
            assert program.stdin is not None and program.stdout is not None
            try:
                if program.stdout.readline() == b"ready\n":
                    yield program
                    return
                message = _last_line(errors)
            finally:
                # uv passes SIGTERM on, and an end of input ends the program by itself.
                program.terminate()
                program.stdout.close()
                program.wait()
                try:
                    program.stdin.close()
                except BrokenPipeError:
                    pass
    raise _cannot_start(message)


@contextmanager
def open_estimator(size: int) -> Iterator[Estimate]:
    """Starts the program; yields a function from a video's pictures to their `Found`, streamed.

    The function takes SIDE x SIDE pictures, and optionally `choices`: the index of the face to
    follow in each, -1 for none. Without them it follows the largest that persists so far. Videos
    are independent; each must be read to its end before the next.

    Raises:
      UserError: the program cannot start.
    """
    with _program(size) as program:

        def estimate(
            pictures: Iterable[Picture], choices: Iterable[int] | None = None
        ) -> Iterator[Found]:
            sent: queue.SimpleQueue = queue.SimpleQueue()
            faces = repeat(_OWN) if choices is None else (_NONE if c < 0 else c for c in choices)
            feeding = (program.stdin, pictures, faces, sent)
            threading.Thread(target=_feed, args=feeding, daemon=True).start()
            while (more := sent.get()) is True:
                yield _read_record(program, size)
            if more:
                raise more

        yield estimate


def _feed(pipe: Any, pictures: Iterable[Picture], faces: Iterable[int], sent: Any) -> None:
    """Writes pictures and faces to the program, and reports each picture to `sent`.

    The pipe holds less than a picture, so the decoder cannot get ahead of the estimator.
    """
    try:
        for i, (picture, face) in enumerate(zip(pictures, faces, strict=False)):
            pipe.write(bytes([i == 0, face]))
            pipe.write(np.ascontiguousarray(picture).data)
            pipe.flush()
            sent.put(True)
        sent.put(False)
    except BaseException as error:  # the reader raises it
        sent.put(error)


def _read_record(program: subprocess.Popen, size: int) -> Found:
    assert program.stdout is not None
    counts = (33 * 3, 478 * 2, 21 * 2, 21 * 2)
    start = 4 + 4 * (sum(counts) + 2 + 4 * FACES)
    record = start + -(-size * size // 8)
    data = program.stdout.read(record)
    if len(data) < record:
        raise RuntimeError(f"{_PROGRAM.name} ended with code {program.wait()}")
    numbers = np.frombuffer(data, np.float32, (start - 4) // 4, 4)
    *split, rest = np.split(numbers, np.cumsum(counts))
    parts = [
        part.reshape(-1, 3 if len(part) == counts[0] else 2) if found else None
        for found, part in zip(data[:4], split, strict=True)
    ]
    silhouette = np.unpackbits(np.frombuffer(data, np.uint8, offset=start), count=size * size)
    return Found(
        keypoints=to_keypoints(*parts),
        silhouette=silhouette.reshape(size, size).astype(bool),
        faces=rest[2:].reshape(FACES, 4),
        followed=int(rest[1]),
        seconds=float(rest[0]),
    )


def read_landmarks(
    pictures: Iterable[Picture], size: int
) -> Iterator[tuple[Float[np.ndarray, "137 3"], Bool[np.ndarray, "size size"]]]:
    """Yields keypoints and silhouette (size, size) of each SIDE x SIDE picture, in order."""
    with open_estimator(size) as estimate:
        for found in estimate(pictures):
            yield found.keypoints, found.silhouette
