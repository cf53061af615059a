"""Deinterlacing of frames, one picture a frame."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import av.error
from av import VideoFrame
from av.filter import Graph


def deinterlaced(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Deinterlaces the frames flagged as interlaced and passes the others on.

    As many come out as go in, in the same order and with the same time stamps.
    """
    for kind, run in itertools.groupby(frames, _kind):
        yield from _whole(run, _graph(kind))


def _kind(frame: VideoFrame) -> dict[str, str]:
    """Returns the properties that a run of interlaced frames shares; empty for other frames."""
    if not frame.interlaced_frame:
        return {}
    return {
        "video_size": f"{frame.width}x{frame.height}",
        "pix_fmt": frame.format.name,
        "colorspace": str(int(frame.colorspace)),
        "range": str(int(frame.color_range)),
    }


def _graph(kind: dict[str, str]) -> Graph | None:
    """Returns a filter for frames of a kind; None where they need none, or none takes them."""
    if not kind:
        return None
    graph = Graph()
    try:
        source = graph.add("buffer", time_base="1/1", **kind)
        graph.link_nodes(source, graph.add("bwdif", mode="send_frame"), graph.add("buffersink"))
        graph.configure()
    except av.error.FFmpegError:  # a picture of a few pixels, or a format that nothing converts
        return None
    return graph


def _whole(run: Iterator[VideoFrame], graph: Graph | None) -> Iterator[VideoFrame]:
    if graph is None:
        yield from run
        return
    # The filter delays frames by one and halves the time base, so stamps are queued here.
    stamps: deque[tuple[Any, ...]] = deque()
    for frame in itertools.chain(run, [None]):
        if frame is not None:
            stamps.append((frame.pts, frame.dts, frame.time_base))
        graph.vpush(frame)
        while True:
            try:
                whole = graph.vpull()
            except (BlockingIOError, av.error.EOFError):
                break
            whole.pts, whole.dts, base = stamps.popleft()
            if base is not None:  # frames that a decoder flushes at the end have none
                whole.time_base = base
            yield whole
