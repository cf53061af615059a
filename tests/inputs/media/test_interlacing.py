"""Footage of two fields a frame becomes one whole picture a frame; other footage is not touched."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.filter import Graph

from lumiere_jax.inputs.footage.probing import probe
from lumiere_jax.inputs.footage.reading import read_frames, read_sizes, read_sources
from lumiere_jax.inputs.media.interlacing import deinterlaced
from lumiere_jax.workflows.footage_flags import probed_clips

FPS = Fraction(25)
ROWS, COLS, BAR, STEP = 64, 256, 16, 2
FIELDS = {"flags": "+ilme+ildct", "g": "5"}
X264 = {"crf": "5", "x264-params": "interlaced=1:tff=1", **FIELDS}


def woven(index, fields=2):
    """A bar that moves by STEP from field to field, in two fields or at one time."""
    picture = np.full((ROWS, COLS, 3), 40, np.uint8)
    for field in range(2):
        x = STEP * (2 * index + field % fields)
        picture[field::2, x : x + BAR] = 220
    return av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")


def middle(picture):
    """Where the bar's middle is in the square that is cut from the middle of the frame."""
    columns = np.flatnonzero(picture[:, :, 1].mean(0) > 128)
    return columns.mean() + (COLS - ROWS) / 2


def combed(picture):
    """How much neighbouring rows differ."""
    return np.abs(np.diff(picture.astype(int), axis=0)).mean()


@pytest.mark.parametrize(
    ("name", "codec", "coding"),
    [
        ("a.mp4", "libx264", X264),
        ("a.mkv", "libx264", X264),
        ("a.avi", "libx264", X264),
        ("a.ts", "mpeg2video", FIELDS),
        ("a.mpg", "mpeg2video", FIELDS),
    ],
)
def test_fields_become_one_picture_a_frame_in_time(
    film, tmp_path, capsys, monkeypatch, name, codec, coding
):
    path = film(tmp_path / name, [woven(i) for i in range(60)], codec, coding)
    clip = probe(path)
    frames = list(read_frames(path, FPS, ROWS))
    assert len(frames) == clip.frames(FPS) and len(frames) >= 59
    np.testing.assert_array_equal(read_sources(path, FPS), [index for index, _ in frames])
    with monkeypatch.context() as patch:
        patch.setattr("lumiere_jax.inputs.footage.reading.deinterlaced", lambda frames: frames)
        np.testing.assert_array_equal(read_sources(path, FPS), [index for index, _ in frames])
    inside = range(25, 35)  # where the whole bar is in the square
    for t in inside:
        index, picture = frames[t]
        assert combed(picture) < 3
        assert abs(middle(picture) - (2 * STEP * index + (BAR + STEP) / 2)) <= STEP
    for first in (26, 33):
        part = read_sizes(path, FPS, (ROWS,), None, first, first + 3)
        for (_, (picture,)), (_, wanted) in zip(part, frames[first:], strict=False):
            np.testing.assert_array_equal(picture, wanted)
    probed_clips({"a": path}, None)
    said = f"{path}: interlaced footage: deinterlaced, one picture a frame.\n"
    tone = f"{path} has hardly any sound above 3.0 kHz: record narrations with the same band.\n"
    assert capsys.readouterr().out == said + tone


def test_progressive_footage_is_not_touched(film, tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4", [woven(i, 1) for i in range(60)], "libx264", {"crf": "5"})
    read = [picture for _, picture in read_frames(path, FPS, ROWS)]
    monkeypatch.setattr("lumiere_jax.inputs.footage.reading.deinterlaced", lambda frames: frames)
    as_before = [picture for _, picture in read_frames(path, FPS, ROWS)]
    np.testing.assert_array_equal(read, as_before)
    assert not probe(path).treatments


def decoded(path):
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def test_runs_of_any_length_size_and_kind_keep_count_and_times(film, tmp_path):
    """Whole frames come between interlaced ones, of which one alone is a run, too."""
    path = film(tmp_path / "a.mp4", [woven(i) for i in range(30)], "libx264", X264)
    frames = list(decoded(path))
    whole = [woven(i, 1).reformat(width=COLS // 2) for i in range(30)]
    for frame, other in zip(frames, whole, strict=True):
        other.pts, other.time_base = frame.pts, frame.time_base
        assert frame.interlaced_frame and not other.interlaced_frame
    mixed = frames[:1] + whole[1:3] + frames[3:10] + whole[10:11] + frames[11:12]
    out = list(deinterlaced(iter(mixed)))
    assert [(f.pts, f.time_base) for f in out] == [(f.pts, f.time_base) for f in mixed]
    assert [f.width for f in out] == [f.width for f in mixed]
    assert not any(f.interlaced_frame for f in out)
    assert out[1] is mixed[1]
    assert all(combed(f.to_ndarray(format="rgb24")) < 3 for f in out)


def flagged(frame):
    """A frame that says of itself that it is interlaced."""
    graph = Graph()
    source = graph.add_buffer(None, frame.width, frame.height, frame.format, time_base=Fraction(1))
    graph.link_nodes(source, graph.add("setfield", mode="tff"), graph.add("buffersink"))
    graph.configure()
    graph.vpush(frame)
    return graph.vpull()


def test_frames_that_no_filter_takes_are_not_touched():
    tiny = [flagged(av.VideoFrame(2, 2, "yuv420p")) for _ in range(2)]
    assert tiny[0].interlaced_frame and list(deinterlaced(iter(tiny))) == tiny
