"""A piece of a clip, drawn: its frames, figures and keypoints as they stand in the archive."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from lumiere_jax.figures.dense import draw_figure
from lumiere_jax.figures.skeleton import draw_skeleton
from lumiere_jax.inputs import archive, left_out
from lumiere_jax.inputs.alignment import align, moved
from lumiere_jax.inputs.lectures import ALIGNED_FACE, picture_shape
from lumiere_jax.inputs.poses import Busy, Footage, Tick, densepose, made_whole, timed
from lumiere_jax.inputs.poses.pieces import KEYPOINTS, SILHOUETTES
from lumiere_jax.inputs.poses.settling import ALIGNMENTS, NEIGHBOURS, PEOPLE, SOURCES
from lumiere_jax.shapes import Picture

UNKNOWN = np.float32("nan")
"""The mouth's true opening, which nobody knows of footage."""
ABSENT = np.zeros((137, 3), np.float32)
"""Keypoints where there are none."""


def draw(
    footage: Footage, number: int, posed: list[Path], settled: Path, folder: Path, tick: Tick
) -> Busy:
    """Makes the folder of a drawn piece, by its number, unless it is there; frames that are left
    out are empty."""
    first, stop = footage.pieces[number]
    busy: Busy = {}
    if folder.is_dir():
        tick(stop - first)
        return busy
    pictures = _faces if footage.align else _framed_figures
    nothing = (b"",) * (1 if footage.align else 2)
    stays = np.fromfile(settled / archive.LEFT_OUT, np.uint8)[first:stop] == left_out.KEPT
    drawn = timed(pictures(footage, number, posed, settled, stays), busy, "draw")
    with made_whole(folder) as made, archive.written(made) as add:

        def write() -> Iterator[None]:
            for there in stays:
                encode, keypoints = next(drawn) if there else (lambda: nothing, ABSENT)
                yield add(encode(), np.append(keypoints, UNKNOWN))

        for _ in timed(write(), busy, "write"):
            tick(1)
        busy["write"] -= busy.get("draw", 0)  # which was done inside
    return busy


Stays = Bool[np.ndarray, "frames"]
Drawn = tuple[Callable[[], Sequence[bytes]], np.ndarray]
"""What encodes a frame's pictures, and its keypoints (137, 3)."""


def _framed_figures(
    footage: Footage, number: int, posed: list[Path], settled: Path, stays: Stays
) -> Iterator[Drawn]:
    """Frames as they were kept, and their figures."""
    first = footage.pieces[number][0]
    frames = compress(archive.read_pictures(posed[number], 0, len(stays)), stays)
    times = (first + np.flatnonzero(stays)).tolist()
    figures = _figures(footage, times, posed, settled)
    for frame, (figure, keypoints) in zip(frames, figures, strict=True):
        yield lambda frame=frame, figure=figure: (frame, archive.encode_png(figure)), keypoints


def _faces(
    footage: Footage, number: int, posed: list[Path], settled: Path, stays: Stays
) -> Iterator[Drawn]:
    """Aligned faces, and keypoints in their units."""
    (first, stop), source = footage.pieces[number], (footage.side, footage.side)
    shape = picture_shape(footage.size, ALIGNED_FACE)
    transforms = np.fromfile(settled / ALIGNMENTS).reshape(-1, 2, 3)[first:stop]
    keypoints = np.memmap(settled / KEYPOINTS, "<f4", "r").reshape(-1, 137, 3)[first:stop]
    frames = archive.read_pictures(posed[number], 0, stop - first)
    rows = compress(zip(frames, transforms, keypoints, strict=True), stays)
    for data, transform, points in rows:
        face = align(archive.decode(data), transform, shape)
        yield (
            lambda face=face: (archive.encode_jpeg(face),),
            moved(points, transform, source, shape),
        )


def _figures(
    footage: Footage, times: list[int], posed: list[Path], settled: Path
) -> Iterator[tuple[Picture, np.ndarray]]:
    """Of the frames at these times: figure (size, size, 3), and the keypoints float32 (137, 3) that
    it was drawn from, zeros where the source has none."""
    neighbours = np.fromfile(settled / NEIGHBOURS, "<i8")
    if footage.figure == "densepose":
        assert footage.poses is not None
        people, sources = (np.fromfile(settled / name, "<i8") for name in (PEOPLE, SOURCES))
        clip = footage.clip
        _, figure = densepose.open_figures(footage.poses, clip.path, clip.rows, clip.cols, people)
        for t in times:
            source = int(sources[neighbours[t]])
            yield figure(source, footage.square, footage.size), ABSENT
        return
    keypoints = np.memmap(settled / KEYPOINTS, "<f4", "r").reshape(-1, 137, 3)
    for t in times:
        points = np.array(keypoints[t])
        if footage.figure == "openpose":
            yield draw_skeleton(points, footage.size), points
            continue
        silhouette = _silhouette(footage, posed, int(neighbours[t]))
        yield draw_figure(points, footage.size, silhouette, footage.explicit), points


def _silhouette(footage: Footage, posed: list[Path], frame: int) -> np.ndarray:
    """The silhouette of any frame of the clip; a neighbour may be in another piece."""
    starts = [first for first, _ in footage.pieces]
    number = bisect_right(starts, frame) - 1
    pixels = footage.size**2
    packed = -(-pixels // 8)
    with open(posed[number] / SILHOUETTES, "rb") as silhouettes:
        silhouettes.seek((frame - starts[number]) * packed)
        bits = np.frombuffer(silhouettes.read(packed), np.uint8)
    return np.unpackbits(bits, count=pixels).reshape(2 * (footage.size,)).astype(bool)
