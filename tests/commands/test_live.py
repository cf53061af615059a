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
from spoken import cut, voice

from lumiere_jax.audio.features import loudness_gain, normalise
from lumiere_jax.audio.frame_times import frames_covering
from lumiere_jax.audio.front_ends import log_mel, rows_of
from lumiere_jax.audio.level_and_band import Level
from lumiere_jax.commands import live
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.sound.sound_tracks import probe_audio
from lumiere_jax.outputs import mark
from lumiere_jax.outputs.label import draw_label
from lumiere_jax.outputs.mark import ENOUGH, luminance, strength
from lumiere_jax.outputs.video import read_record
from lumiere_jax.systems.lumierenet.synthesis import synthesise_frames
from lumiere_jax.workflows.trained_model import load_model

ROOT = Path(__file__).parents[2]
FPS = Fraction(30)
SIZE = 64


def test_the_gain_comes_from_the_past_alone_and_ends_where_the_whole_has_it():
    sound = voice(48_000)
    later = sound.copy()
    later[24_000:] *= 5
    gains = []
    for samples in (sound, later):
        level = Level()
        gains.append([level.hear(block) for block in np.split(samples, 480)])
    assert gains[0][:240] == gains[1][:240] and gains[0][-1] != gains[1][-1]
    assert gains[0][:15] == [1.0] * 15  # nothing is known before the first block of 0.1 s
    np.testing.assert_allclose(gains[0][-1], loudness_gain([sound]), rtol=1e-5)
    silent = Level()
    assert silent.hear(np.zeros(16_000, np.float32)) == 1.0


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


@pytest.mark.slow
def test_two_seconds_through_a_pipe_are_the_frames_of_the_same_features(
    workdir, monkeypatch, tmp_path
):
    """With the gain pinned, and standard input fed in real time."""
    monkeypatch.setattr(Level, "hear", lambda *_: 2.0)
    # Where the mark lies depends on the first picture's last bit.
    monkeypatch.setattr(mark, "mark", iter)
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
        rows_of(log_mel(FPS), [spoken], 60, gain=2.0),
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


@pytest.mark.slow
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
