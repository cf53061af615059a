"""The folder of poses that belongs to a clip, and how its files match the clip's frames."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from lumiere_jax.errors import UserError, printable
from lumiere_jax.inputs.media import containers


def natural(name: str) -> list:
    """Returns a key that sorts frame9 before frame10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))]


def pose_folder(poses_dir: Path | None, clip: str, source: str, *, alone: bool = True) -> Path:
    """Returns DIR/<clip's name>, or DIR itself if that is missing and the clip is `alone`.

    Raises:
      UserError: no folder is given, it is missing, or it is empty.
    """
    if poses_dir is None:
        raise UserError(f"--figure={source} needs --poses=DIR, the folder of its files.")
    if not poses_dir.is_dir():
        raise UserError(f"{poses_dir} is not a folder: --poses wants the folder of {source} files.")
    # A clip's name outside UTF-8 appears here in its printable form.
    own = next((f for f in poses_dir.iterdir() if printable(f.name) == clip), poses_dir / clip)
    if not own.is_dir() and not alone:
        raise UserError(
            f"{own} is not there: of several clips, each has its own folder in --poses."
        )
    folder = own if own.is_dir() else poses_dir
    if not any(folder.iterdir()):
        raise UserError(f"{folder} is empty: --poses wants the folder of {source} files.")
    return folder


def check_number(poses: int, folder: Path, clip: Path) -> None:
    """Raises a UserError unless there is one pose for every frame in the clip's video stream."""
    with containers.open_track(clip, "video") as track:
        frames = sum(not packet.is_discard for packet in containers.packets(track))
    if poses != frames:
        raise UserError(
            f"{folder} holds {poses} poses but {clip} has {frames} frames: run the pose estimator "
            "on every source frame once (with ffmpeg: -fps_mode passthrough)."
        )


def follow(boxes: list[Float[np.ndarray, "_ 4"]]) -> Int[np.ndarray, " frames"]:
    """Which person of each frame is the largest that persists, -1 where that one is missing.

    People (x0, y0, x1, y1) are followed from frame to frame by the overlap of their boxes; the one
    whose areas sum to the most over the clip is chosen.
    """
    lasts, weights, choices = [], [], []
    for frame, people in enumerate(boxes):
        people = np.asarray(people, np.float64).reshape(-1, 4)
        overlap = _overlap(people, np.array(lasts).reshape(-1, 4))
        areas = (people[:, 2:] - people[:, :2]).clip(0).prod(1)
        track_of = np.full(len(people), -1)
        while overlap.size and overlap.max() > 0.1:
            person, track = np.unravel_index(overlap.argmax(), overlap.shape)
            overlap[person], overlap[:, track] = 0, 0
            track_of[person] = track
        for person, track in enumerate(track_of):
            if track < 0:
                track = len(lasts)
                lasts.append(people[person])
                weights.append(0.0)
                choices.append([])
            lasts[track] = people[person]
            weights[track] += areas[person]
            choices[track].append((frame, person))
    chosen = np.full(len(boxes), -1)
    if weights:
        frames, people = np.array(choices[int(np.argmax(weights))]).T
        chosen[frames] = people
    return chosen


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the intersection over union of boxes (n, 4) and (m, 4)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clip(0).prod(-1)
    areas = [(box[:, 2:] - box[:, :2]).clip(0).prod(-1) for box in (a, b)]
    return both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-9)
