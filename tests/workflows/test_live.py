"""A voice that is fed as it is spoken: which sound a frame hears, when, and what is written."""

import os
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lumiere_jax.audio.features import (
    WINDOW,
    frame_start,
    frames_covering,
    loudness_gain,
    normalise,
    stream_log_mel,
)
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.sound import probe_audio
from lumiere_jax.outputs import video
from lumiere_jax.outputs.label import draw_label
from lumiere_jax.outputs.mark import ENOUGH, luminance, strength
from lumiere_jax.outputs.video import read_record
from lumiere_jax.systems.lumierenet import synthesise_frames
from lumiere_jax.workflows import live
from lumiere_jax.workflows.infer import load_model

ROOT = Path(__file__).parents[2]
FPS = Fraction(30)
SIZE = 64


def voice(samples, seed=0):
    """Noise that swells and fades, at most 1."""
    noise = np.random.default_rng(seed).standard_normal(samples) / 8
    return np.clip(noise * np.sin(np.arange(samples) / 3000), -1, 1).astype(np.float32)


def cut(samples, seed=0):
    """Blocks of any length, each a second later than the last on a clock of its own."""
    lengths = np.random.default_rng(seed).integers(1, 1500, 1 + len(samples) // 100)
    blocks = np.split(samples, np.unique(np.minimum(np.cumsum(lengths), len(samples))))
    return [(float(i), block) for i, block in enumerate(blocks) if len(block)]


@pytest.mark.parametrize("fps", [FPS, Fraction(25), Fraction(30000, 1001), Fraction(5)])
@pytest.mark.parametrize("samples", [1, 533, 534, 704, 8_000, 16_001])
def test_rows_are_those_of_the_whole_narration_with_the_moment_their_window_was_heard(fps, samples):
    sound = voice(samples)
    blocks = cut(sound)
    rows = list(live.rows_as_heard(iter(blocks), fps, lambda _: 0.5, clock=lambda: 1e6))
    whole = np.concatenate(
        list(stream_log_mel([sound], fps, frames_covering(samples, fps), gain=0.5))
    )
    np.testing.assert_allclose(np.concatenate([row for _, row in rows]), whole, atol=2e-4)
    # The block, which is the time, that holds the last sample of each window.
    ends = np.cumsum([len(block) for _, block in blocks])
    for t, (arrived, _) in enumerate(rows):
        last = frame_start(t, fps) + WINDOW - 1
        holding = next((i for i, end in enumerate(ends) if last < end), None)
        assert arrived == (1e6 if holding is None else blocks[holding][0])


def test_no_frame_waits_for_sound_that_it_does_not_hear():
    taken = []

    def blocks():
        for i in range(100):
            taken.append(i)
            yield float(i), np.zeros(100, np.float32)

    for t, _ in enumerate(live.rows_as_heard(blocks(), FPS, lambda _: 1.0)):
        if t < 15:
            assert 100 * len(taken) < frame_start(t, FPS) + WINDOW + 100


def test_the_gain_comes_from_the_past_alone_and_ends_where_the_whole_has_it():
    sound = voice(48_000)
    later = sound.copy()
    later[24_000:] *= 5
    gains = []
    for samples in (sound, later):
        level = live.Level()
        gains.append([level.hear(block) for block in np.split(samples, 480)])
    assert gains[0][:240] == gains[1][:240] and gains[0][-1] != gains[1][-1]
    assert gains[0][:15] == [1.0] * 15  # nothing is known before the first block of 0.1 s
    np.testing.assert_allclose(gains[0][-1], loudness_gain([sound]), rtol=1e-5)
    silent = live.Level()
    assert silent.hear(np.zeros(16_000, np.float32)) == 1.0


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("delay", [0, 2])
@pytest.mark.parametrize(
    "seconds, expected",
    [
        # Frames of 33 ms of sound: computed in 20, the picture is there 20 ms and a write later.
        (0.020, 0.025),
        # In 60 ms every frame that would be more than 0.1 s late is the last one again.
        (0.060, 0.165),
    ],
)
def test_latency_is_from_the_windows_last_sample_to_the_end_of_writing(delay, seconds, expected):
    clock, timing = Clock(), live.Timing()

    def rows():
        for t in range(90):
            arrived = t / 30
            clock.now = max(clock.now, arrived)
            yield arrived, np.full((1, 40), t, np.float32)

    def paint(windows):
        clock.now += seconds
        heard = windows[0, -1, 0]
        return None, np.full((1, 2, 2, 3), heard, np.uint8)

    shown = []
    for picture in live.pictures(rows(), paint, 15, delay, timing, clock):
        shown.append(int(picture[0, 0, 0]))
        clock.now += 0.005
    assert timing.frames == len(shown) == 90
    own = [min(t + delay, 89) for t in range(90)]
    if seconds < 1 / 30:
        assert not timing.repeated and shown == own
        np.testing.assert_allclose(timing.latencies[: 90 - delay], expected)
    else:
        # Picture and sound stay together: what is shown is never more than some frames old.
        assert 0 < timing.repeated < 60
        assert max(timing.latencies) <= expected + 1e-6
        assert all(0 <= now - then <= 5 for now, then in zip(own, shown, strict=True))
        assert f"{timing.repeated} repeated" in str(timing)


def feed(file, sound, block=160):
    """Writes samples at the speed at which they are spoken."""
    data = (sound * 2**15).clip(-(2**15), 2**15 - 1).astype("<i2")
    start = time.monotonic()
    for first in range(0, len(data), block):
        late = start + first / 16_000 - time.monotonic()
        time.sleep(max(0.0, late))
        file.write(data[first : first + block].tobytes())
        file.flush()
    file.close()


def test_two_seconds_through_a_pipe_are_the_frames_of_the_same_features(
    workdir, monkeypatch, tmp_path
):
    """With the gain pinned, and standard input fed in real time."""
    monkeypatch.setattr(live.Level, "hear", lambda *_: 2.0)
    # Where the mark lies depends on the first picture's last bit.
    monkeypatch.setattr(video, "mark", iter)
    reading, writing = os.pipe()
    sound = voice(32_000)
    announced = threading.Event()
    monkeypatch.setattr(live, "_announce", lambda *_: announced.set())

    def speaking():
        announced.wait(120)
        time.sleep(0.1)
        feed(os.fdopen(writing, "wb"), sound)

    os.mkfifo(tmp_path / "pictures")
    seen = []
    watching = threading.Thread(
        target=lambda: seen.append((tmp_path / "pictures").read_bytes()), daemon=True
    )
    threading.Thread(target=speaking, daemon=True).start()
    watching.start()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        timing = live.live(workdir=workdir, audio="-", out=str(tmp_path / "pictures"))
    watching.join(30)
    frames = np.frombuffer(seen[0], np.uint8).reshape(-1, SIZE, SIZE, 3)
    assert len(frames) == timing.frames == 60

    model = load_model(workdir)
    spoken = (sound * 2**15).astype("<i2").astype(np.float32) / 2**15
    rows = normalise(
        np.concatenate(list(stream_log_mel([spoken], FPS, 60, gain=2.0))),
        model.run.mean,
        model.run.std,
    )
    whole = [
        draw_label(frame)
        for frame in synthesise_frames(model.run.config, SIZE, model.variables, [rows])
    ]
    # A single frame is rounded other than one of eight.
    close = [np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(frames, whole, strict=True)]
    assert sum(close) >= len(timing.latencies) and close[0]
    assert len(timing.latencies) > 1 and min(timing.latencies) > 0


def test_standard_output_carries_nothing_but_frames(workdir):
    with subprocess.Popen(
        [sys.executable, "infer.py", f"--workdir={workdir}", "--audio=-", "--live", "--out=-"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        line = process.stderr.readline().decode()
        while not line.startswith("listening"):
            assert line, "it ended before it listened"
            line = process.stderr.readline().decode()
        assert "pictures of 64x64, rgb24, 30 a second" in line
        spoken = threading.Thread(target=feed, args=(process.stdin, voice(9_000)))
        spoken.start()
        pictures = process.stdout.read()
        spoken.join()
        last = process.stderr.read().decode()
    assert process.returncode == 0
    assert len(pictures) == 17 * SIZE * SIZE * 3
    shown = np.frombuffer(pictures, np.uint8).reshape(-1, SIZE, SIZE, 3)
    assert strength(map(luminance, shown)) > ENOUGH
    np.testing.assert_array_equal(shown[0][-5:, -32:] > 200, draw_label(shown[0])[-5:, -32:] > 200)
    assert "17 frames" in last and "95th percentile" in last and "Traceback" not in last


def test_a_video_of_what_was_heard_has_all_of_its_sound(workdir, tmp_path):
    model = load_model(workdir)
    timing = live.Timing()
    sound = voice(9_001)
    blocks = ((time.monotonic(), block) for _, block in cut(sound))
    paint = live.warmed_up(model)
    live.speak_live(model, paint, blocks, tmp_path / "talk.mp4", "ultrafast", timing)
    assert timing.frames == frames_covering(9_001, FPS) == 17
    with av.open(str(tmp_path / "talk.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 17
    assert 9_001 <= probe_audio(tmp_path / "talk.mp4").samples < 9_001 + 1024
    assert read_record(tmp_path / "talk.mp4")["synthetic"] is True


def test_who_stops_watching_ends_it(workdir):
    model = load_model(workdir)
    reading, writing = os.pipe()
    os.close(reading)
    timing = live.Timing()
    blocks = ((time.monotonic(), block) for _, block in cut(voice(160_000)))
    with os.fdopen(writing, "wb") as target:
        live.speak_live(model, live.warmed_up(model), blocks, target, "medium", timing)
    assert timing.frames <= 2


def test_raw_pictures_are_not_signed(workdir, tmp_path):
    os.mkfifo(tmp_path / "pictures")
    key = tmp_path / "key.pem"
    for out in ("-", str(tmp_path / "pictures")):
        with pytest.raises(UserError, match="--certificate signs files, and --out="):
            live.live(workdir=workdir, audio="-", out=out, certificate=key, key=key)


def test_sound_that_ends_before_it_is_listened_to(workdir, monkeypatch, tmp_path):
    reading, writing = os.pipe()
    os.write(writing, bytes(3200))
    os.close(writing)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(UserError, match="the sound ended before it was listened to"):
            live.live(workdir=workdir, audio="-", out=str(tmp_path / "talk.mp4"))
    assert not list(tmp_path.iterdir())
