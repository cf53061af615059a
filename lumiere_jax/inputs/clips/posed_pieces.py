"""Posing of a clip's piece: its encoded frames, keypoints, silhouettes and faces."""

import contextlib
import functools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lumiere_jax.inputs.clips import judging
from lumiere_jax.inputs.clips.clip_plan import Busy, Footage, Piece, Tick, made_whole, spend, timed
from lumiere_jax.inputs.dataset import clip_archives
from lumiere_jax.inputs.footage import reading
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.inputs.poses import mediapipe
from lumiere_jax.shapes import Picture

KEYPOINTS, SILHOUETTES, FACES = "keypoints.f32", "silhouettes.bin", "faces.f32"
THUMBNAILS = "thumbnails.u8"
# Numbers of each frame, warm-up included: eight faces' boxes, and the index of the one followed.
FACE_NUMBERS = mediapipe.FACES * 4 + 1

NO_SILHOUETTE = 8

_running = contextlib.ExitStack()
_one_video = threading.Lock()


@functools.cache
def _estimator(size: int) -> mediapipe.Estimate:
    return _running.enter_context(mediapipe.open_estimator(size))


def release() -> None:
    """Ends the estimators that this process reuses from piece to piece."""
    _estimator.cache_clear()
    _running.close()


def pose(
    footage: Footage,
    piece: Piece,
    folder: Path,
    choices: np.ndarray | None,
    tick: Tick,
) -> Busy:
    """Decodes, poses and encodes a piece into `folder`, unless it exists.

    Args:
      choices: The face to follow in each of the clip's frames (-1: none); by default the largest
        that persists in the piece.
      tick: Takes the number of frames that are done.

    Returns:
      Seconds on one core by part.

    Raises:
      UserError: MediaPipe's program cannot start, or the footage cannot be decoded.
    """
    first, stop = piece
    busy: Busy = {}
    if folder.is_dir():
        tick(stop - first)
        return busy
    with (
        made_whole(folder) as made,
        clip_archives.written(made) as add,
        open(made / THUMBNAILS, "wb") as thumbnails,
    ):

        def keep(frame: Picture) -> None:
            begin = time.thread_time()
            add((picture_bytes.encode_jpeg(frame),), b"")
            thumbnails.write(judging.thumbnail(frame).tobytes())
            spend(busy, "write", time.thread_time() - begin)

        if footage.figure == "mediapipe":
            try:
                _estimate(footage, piece, made, keep, choices, tick, busy)
            except BaseException:
                release()  # the program is in the middle of a video
                raise
            return busy
        frames = reading.read_sizes(
            footage.clip, footage.fps, (footage.side,), footage.crop, first, stop
        )
        for _, (frame,) in timed(frames, busy, "decode"):
            keep(frame)
            tick(1)
    return busy


def _estimate(
    footage: Footage, piece: Piece, folder: Path, keep, choices, tick: Tick, busy: Busy
) -> None:
    """Decodes and estimates in parallel; neither gets ahead of the other."""
    first, stop = piece
    begin = first - footage.warm_up(piece)
    sizes = (mediapipe.SIDE, footage.side)
    read = reading.read_sizes(footage.clip, footage.fps, sizes, footage.crop, begin, stop)

    def pictures() -> Iterator[Picture]:
        for t, (_, (large, frame)) in enumerate(timed(read, busy, "decode"), begin):
            if t >= first:
                keep(frame)
            yield large

    with (
        open(folder / KEYPOINTS, "wb") as keypoints,
        open(folder / SILHOUETTES, "wb") as silhouettes,
        open(folder / FACES, "wb") as faces,
        _one_video,
    ):
        given = None if choices is None else choices[begin:stop].tolist()
        size = footage.size if footage.has_figures else NO_SILHOUETTE
        for t, found in enumerate(_estimator(size)(pictures(), given), begin):
            spend(busy, "estimate", found.seconds)
            faces.write(np.append(found.faces, found.followed).astype("<f4").tobytes())
            if t >= first:
                keypoints.write(found.keypoints.astype("<f4").tobytes())
                silhouettes.write(np.packbits(found.silhouette).tobytes())
                tick(1)
