"""A dataset of noise: pictures that count their frames, and sound that can be changed."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lumiere_jax.audio.frame_times import frame_start
from lumiere_jax.inputs.dataset import clip_archives, lectures
from lumiere_jax.inputs.dataset.columns import APERTURE, FIGURE, FRAME, KEYPOINTS, Moment
from lumiere_jax.inputs.dataset.geometry import SQUARE
from lumiere_jax.inputs.dataset.segments import segments_of
from lumiere_jax.workflows.dataset_assembly import finish

FPS, FRAMES = Fraction(30), 40
COLUMNS = (FRAME, FIGURE, KEYPOINTS, APERTURE)


def moments(clip, shape, frames=FRAMES):
    for t in range(frames):
        yield Moment(
            keypoints=np.full((137, 3), 100 * clip + t, np.float32),
            draw_frame=lambda t=t: np.full((*shape, 3), 4 * t + clip, np.uint8),
            figure=np.full((*shape, 3), (clip, t, 7), np.uint8),
            aperture=t / 10,
        )


def sounds(clip, frames=FRAMES):
    return 0.1 * np.random.default_rng(clip).normal(size=frame_start(frames, FPS)).astype("f4")


def make(folder: Path, change=lambda clip, sound: sound, clips=2, geometry=SQUARE, columns=None):
    """A dataset of `clips` clips whose sound `change` may touch."""
    size = 128 if geometry.aligned else 64
    usual = (FRAME, KEYPOINTS, APERTURE) if geometry.aligned else COLUMNS
    columns = columns or usual
    archives = folder / "clips"
    archives.mkdir(parents=True)
    for clip in range(clips):
        sound = change(clip, sounds(clip))
        pictures = moments(clip, geometry.shape(size))
        clip_archives.write_clip(archives / f"c{clip}", columns, pictures, [sound])
    dataset = lectures.unmeasured(
        folder=folder,
        size=size,
        fps=FPS,
        figure=geometry.scheme or "drawn",
        geometry=geometry,
        columns=columns,
        segments=tuple(segments_of({f"c{clip}": FRAMES for clip in range(clips)})),
        consent={"who": "noise", "when": "2026-01-31", "purpose": "tests"},
    )
    finish(dataset, archives)
    return lectures.open_dataset(folder)


@pytest.fixture(scope="session")
def make_noise():
    return make


@pytest.fixture(scope="session")
def noise(tmp_path_factory):
    return make(tmp_path_factory.mktemp("noise"))


def film_clip(path, frames, codec, coding=None, **tags):
    """A clip of `frames` at 25 a second and a tone; `tags` are attributes of its encoder."""
    first = frames[0]
    with av.open(str(path), "w") as container:
        picture = container.add_stream(codec, rate=25, options=coding or {})
        picture.width, picture.height, picture.pix_fmt = (
            first.width,
            first.height,
            first.format.name,
        )
        picture.bit_rate = 3_000_000
        for name, value in tags.items():
            setattr(picture.codec_context, name, value)
        sound = container.add_stream("ac3", rate=48_000, layout="mono")
        packets = []
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index, Fraction(1, 25)
            packets += picture.encode(frame)
        wave = np.sin(np.arange(len(frames) * 48_000 // 25) / 20).astype("f4")
        tone = av.AudioFrame.from_ndarray(wave[None] / 2, "fltp", "mono")
        tone.sample_rate, tone.time_base, tone.pts = 48_000, Fraction(1, 48_000), 0
        packets += picture.encode(None) + sound.encode(tone) + sound.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


@pytest.fixture(scope="session")
def film():
    return film_clip
