"""Drawing of a clip's piece: frames, figures and keypoints as the archive stores them."""

import functools
from bisect import bisect_right
from collections.abc import Iterator
from itertools import compress
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from lumiere_jax.figures.dense import draw_figure
from lumiere_jax.figures.skeleton import draw_skeleton
from lumiere_jax.inputs.clips.clip_plan import Busy, Footage, Tick, made_whole, timed
from lumiere_jax.inputs.clips.posed_pieces import KEYPOINTS, SILHOUETTES
from lumiere_jax.inputs.clips.settling import ALIGNMENTS, NEIGHBOURS, PEOPLE, SOURCES
from lumiere_jax.inputs.dataset import clip_archives, left_out_frames
from lumiere_jax.inputs.dataset.columns import Moment
from lumiere_jax.inputs.faces.alignment import align, moved
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.inputs.poses import densepose
from lumiere_jax.keypoints import POINTS
from lumiere_jax.shapes import Picture

ABSENT = np.zeros((POINTS, 3), np.float32)
"""Keypoints of frames whose source has none."""


def draw(
    footage: Footage, number: int, posed: list[Path], settled: Path, folder: Path, tick: Tick
) -> Busy:
    """Draws and encodes a piece into `folder`, unless it exists; left-out frames are empty.

    Args:
      number: Index of the piece in `footage.pieces`.
      posed: Folders of all posed pieces, in order.
      settled: Folder that `settling.settle` made.
      tick: Takes the number of frames that are done.

    Returns:
      Seconds on one core spent on drawing and writing.
    """
    first, stop = footage.pieces[number]
    busy: Busy = {}
    if folder.is_dir():
        tick(stop - first)
        return busy
    moments = _aligned if footage.geometry.aligned else _framed
    stays = (
        np.fromfile(settled / clip_archives.LEFT_OUT, np.uint8)[first:stop] == left_out_frames.KEPT
    )
    drawn = timed(moments(footage, number, posed, settled, stays), busy, "draw")
    with made_whole(folder) as made, clip_archives.written(made) as add:

        def write() -> Iterator[None]:
            for there in stays:
                columns = footage.columns
                stored = (
                    clip_archives.encode(columns, next(drawn))
                    if there
                    else clip_archives.empty(columns)
                )
                yield add(*stored)

        for _ in timed(write(), busy, "write"):
            tick(1)
        busy["write"] -= busy.get("draw", 0)  # drawing runs inside `write`
    return busy


Stays = Bool[np.ndarray, " frames"]


def _framed(
    footage: Footage, number: int, posed: list[Path], settled: Path, stays: Stays
) -> Iterator[Moment]:
    """Yields the posed frames that stay, with their figures."""
    first = footage.pieces[number][0]
    frames = compress(clip_archives.read_pictures(posed[number], 0, len(stays)), stays)
    times = (first + np.flatnonzero(stays)).tolist()
    figures = _figures(footage, times, posed, settled)
    for data, (figure, keypoints) in zip(frames, figures, strict=True):
        decoded = functools.partial(picture_bytes.decode, data)
        yield Moment(keypoints=keypoints, draw_frame=decoded, figure=figure, jpeg=data)


def _aligned(
    footage: Footage, number: int, posed: list[Path], settled: Path, stays: Stays
) -> Iterator[Moment]:
    """Yields aligned faces, with keypoints in their units."""
    (first, stop), source = footage.pieces[number], (footage.side, footage.side)
    shape = footage.geometry.shape(footage.size)
    transforms = np.fromfile(settled / ALIGNMENTS).reshape(-1, 2, 3)[first:stop]
    keypoints = np.memmap(settled / KEYPOINTS, "<f4", "r").reshape(-1, POINTS, 3)[first:stop]
    frames = clip_archives.read_pictures(posed[number], 0, stop - first)
    rows = compress(zip(frames, transforms, keypoints, strict=True), stays)
    for data, transform, points in rows:
        face = align(picture_bytes.decode(data), transform, shape)
        own = moved(points, transform, source, shape)
        yield Moment(keypoints=own, draw_frame=lambda face=face: face)


def _figures(
    footage: Footage, times: list[int], posed: list[Path], settled: Path
) -> Iterator[tuple[Picture | None, np.ndarray]]:
    """Yields figure and keypoints of the frames at these times.

    A figure is (size, size, 3), or None where none are drawn. Keypoints are float32 (137, 3), zeros
    where the source has none.
    """
    neighbours = np.fromfile(settled / NEIGHBOURS, "<i8")
    if footage.figure == "densepose":
        assert footage.poses is not None
        people, sources = (np.fromfile(settled / name, "<i8") for name in (PEOPLE, SOURCES))
        clip = footage.clip
        _, figure = densepose.open_figures(footage.poses, clip.path, clip.rows, clip.cols, people)
        for t in times:
            source = int(sources[neighbours[t]])
            drawn = figure(source, footage.square, footage.size) if footage.has_figures else None
            yield drawn, ABSENT
        return
    keypoints = np.memmap(settled / KEYPOINTS, "<f4", "r").reshape(-1, POINTS, 3)
    for t in times:
        points = np.array(keypoints[t])
        if not footage.has_figures:
            yield None, points
            continue
        if footage.figure == "openpose":
            yield draw_skeleton(points, footage.size), points
            continue
        silhouette = _silhouette(footage, posed, int(neighbours[t]))
        yield draw_figure(points, footage.size, silhouette, footage.explicit), points


def _silhouette(footage: Footage, posed: list[Path], frame: int) -> np.ndarray:
    """Reads the silhouette of any frame of the clip; a neighbour may be in another piece."""
    starts = [first for first, _ in footage.pieces]
    number = bisect_right(starts, frame) - 1
    pixels = footage.size**2
    packed = -(-pixels // 8)
    with open(posed[number] / SILHOUETTES, "rb") as silhouettes:
        silhouettes.seek((frame - starts[number]) * packed)
        bits = np.frombuffer(silhouettes.read(packed), np.uint8)
    return np.unpackbits(bits, count=pixels).reshape(2 * (footage.size,)).astype(bool)
