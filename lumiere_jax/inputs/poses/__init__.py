"""Pose figures of footage, from MediaPipe, DensePose or OpenPose, with one neutral result."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from lumiere_jax.errors import UserError
from lumiere_jax.figures.dense import draw_figure
from lumiere_jax.figures.skeleton import draw_skeleton
from lumiere_jax.inputs import media
from lumiere_jax.inputs.poses import densepose, folders, gaps, mediapipe, openpose
from lumiere_jax.shapes import Picture

Source = Literal["mediapipe", "densepose", "openpose"]
Tick = Callable[[], object]


@dataclass(frozen=True)
class Pose:
    """One frame's figure (size, size, 3), and the keypoints float32 (137, 3) it was drawn from:
    zeros where the source has none."""

    figure: Picture
    keypoints: np.ndarray


def _square(clip: media.Clip, crop: media.Crop | None) -> tuple[int, int, int]:
    if crop is not None:
        return crop.x, crop.y, crop.side
    side = min(clip.rows, clip.cols)
    return (clip.cols - side) // 2, (clip.rows - side) // 2, side


def _sources(clip: media.Clip, fps: Fraction, crop: media.Crop | None) -> np.ndarray:
    """The source frame of every output frame."""
    frames = media.read_frames(clip.path, fps, 64, crop)
    return np.fromiter((source for source, _ in frames), np.int64)


def _densepose(clip, fps, size, crop, folder: Path, tick: Tick) -> Iterator[Pose]:
    found, figure = densepose.open_figures(folder, clip.path, clip.rows, clip.cols)
    sources = _sources(clip, fps, crop)
    gaps.check(found[sources], fps, clip.path)
    for frame in gaps.nearest(found[sources]):
        tick()
        picture = figure(int(sources[frame]), _square(clip, crop), size)
        yield Pose(picture, np.zeros((137, 3), np.float32))


def _landmarks(source, clip, fps, size, crop, folder: Path | None) -> Iterator[tuple]:
    if source == "mediapipe":
        pictures = media.read_frames(clip.path, fps, mediapipe.SIDE, crop)
        yield from mediapipe.read_landmarks((picture for _, picture in pictures), size)
    elif folder is not None:
        found = openpose.read_keypoints(
            folder, clip.path, _square(clip, crop), _sources(clip, fps, crop)
        )
        yield from ((keypoints, None) for keypoints in found)


def _drawn(
    source, clip, fps, size, crop, folder: Path | None, tick: Tick, explicit: bool
) -> Iterator[Pose]:
    """Landmarks go to a file first, since a gap is filled from both sides; figures are drawn as
    they are read back, and memory does not grow with the clip."""
    with tempfile.TemporaryDirectory() as temporary:
        points_path, masks_path = Path(temporary) / "keypoints", Path(temporary) / "silhouettes"
        with open(points_path, "wb") as points, open(masks_path, "wb") as masks:
            for keypoints, silhouette in _landmarks(source, clip, fps, size, crop, folder):
                points.write(keypoints.astype(np.float32).tobytes())
                if silhouette is not None:
                    masks.write(np.packbits(silhouette).tobytes())
                tick()
        if not points_path.stat().st_size:
            raise UserError(f"{clip.path} has no frame that can be decoded; export it again.")
        keypoints = np.memmap(points_path, np.float32, "r+").reshape(-1, 137, 3)
        found = keypoints[:, :95, 2].max(1) > 0
        gaps.check(found, fps, clip.path)
        neighbour = gaps.nearest(found)
        gaps.fill(keypoints, found, fps)
        packed = -(-size * size // 8)
        with open(masks_path, "rb") as masks:
            for frame, row in enumerate(keypoints):
                points = np.array(row)
                if source == "openpose":
                    yield Pose(draw_skeleton(points, size), points)
                    continue
                masks.seek(int(neighbour[frame]) * packed)
                bits = np.frombuffer(masks.read(packed), np.uint8)
                silhouette = np.unpackbits(bits, count=size * size).reshape(size, size)
                yield Pose(draw_figure(points, size, silhouette.astype(bool), explicit), points)


def read_poses(
    source: Source,
    clip: media.Clip,
    fps: Fraction,
    size: int,
    crop: media.Crop | None = None,
    poses_dir: Path | None = None,
    tick: Tick = lambda: None,
    explicit: bool = True,
) -> Iterator[Pose]:
    """A pose for every frame that `media.read_frames(clip.path, fps, size, crop)` gives, in order.

    Frames where nobody is found take the pose of their neighbours. Raises UserError where more than
    10% of the frames, or more than a second on end, have nobody, where the files in `poses_dir` are
    not one for each source frame, and where MediaPipe's program cannot start. `tick` is
    called for each frame that is posed, long before the first comes out. `explicit` is MediaPipe's
    (see `figures.dense.draw_figure`).
    """
    folder = None
    if source != "mediapipe":
        folder = folders.pose_folder(poses_dir, clip.path, source)
    elif poses_dir is not None:
        raise UserError(
            "--poses is for --figure=densepose or openpose; leave it out for mediapipe."
        )
    if source == "densepose" and folder is not None:
        return _densepose(clip, fps, size, crop, folder, tick)
    return _drawn(source, clip, fps, size, crop, folder, tick, explicit)
