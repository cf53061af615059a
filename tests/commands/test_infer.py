"""Narrations to videos, one or many, by the script and by the function."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile

from lumiere_jax.commands import cli
from lumiere_jax.commands import infer as module
from lumiere_jax.commands.infer import infer
from lumiere_jax.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_script_imports_no_tensorflow(workdir, speech, tmp_path):
    """From its start to a written video: TensorFlow takes as long to import as the rest."""
    program = textwrap.dedent("""
        import runpy, sys
        try:
            runpy.run_path("infer.py", run_name="__main__")
        finally:
            heavy = {"tensorflow", "tensorflow_datasets"}
            print(*heavy & {name.split(".")[0] for name in sys.modules}, file=sys.stderr)
    """)
    out = tmp_path / "lecture.mp4"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            f"--workdir={workdir}",
            f"--audio={speech}",
            f"--out={out}",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and out.exists()
    assert done.stderr.splitlines()[-1] == ""


def test_a_workdir_that_cannot_speak_is_refused_before_the_narration_is_decoded(
    speech, tmp_path, monkeypatch
):
    def decoded(path):
        raise AssertionError(f"{path} was decoded first")

    monkeypatch.setattr(module, "probe_audio", decoded)
    with pytest.raises(UserError, match="run is not a trained workdir"):
        infer(workdir=tmp_path / "run", audio=speech, out=tmp_path / "lecture.mp4")


@pytest.fixture
def talks(tmp_path):
    """Three narrations of different lengths and rates."""
    folder = tmp_path / "talks"
    folder.mkdir()
    for name, samples, rate in (("a", 3_000, 16_000), ("b [1]", 9_000, 22_050), ("c", 200, 8_000)):
        sound = 0.1 * np.random.default_rng(samples).standard_normal(samples)
        soundfile.write(folder / f"{name}.wav", sound, rate)
    return folder


def test_many_narrations_on_many_devices_are_those_made_alone(workdir, talks, tmp_path, capsys):
    assert len(jax.local_devices()) > 2
    total = infer(workdir=workdir, audio=f"{talks}/*.wav", out=tmp_path / "films")
    assert total == 6 + 13 + 1
    assert f"{total}/{total}" in capsys.readouterr().err  # one bar counts all of them
    for path in talks.iterdir():
        infer(workdir=workdir, audio=path, out=tmp_path / "alone.mp4")
        together = tmp_path / "films" / f"{path.stem}.mp4"
        assert together.read_bytes() == (tmp_path / "alone.mp4").read_bytes()
    assert len(list((tmp_path / "films").iterdir())) == 3


def test_one_narration_goes_into_a_folder_too(workdir, talks, tmp_path):
    assert infer(workdir=workdir, audio=talks / "b [1].wav", out=tmp_path / "films") == 13
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["b [1].mp4"]


def test_all_narrations_are_checked_before_the_first_is_spoken(workdir, talks, tmp_path):
    (talks / "z.wav").write_text("no sound")
    (talks / "b [1].flac").write_bytes((talks / "a.wav").read_bytes())
    films = tmp_path / "films"
    for audio, out, message in (
        (f"{talks}/*.wav", films, "z.wav: this is not a media file"),
        (f"{talks}/*", films, r"two narrations are named 'b \[1\]'; rename one"),
        (f"{talks}/*.wav", tmp_path / "a.mp4", "names 4 narrations: name a folder"),
        (f"{talks}/*.ogg", tmp_path / "none", r"talks/\*.ogg: there is no such file"),
        (f"{talks}/[ac].wav", talks / "a.wav", "cannot be written .a file is where its folder"),
    ):
        with pytest.raises(UserError, match=message):
            infer(workdir=workdir, audio=audio, out=out)
    assert not films.exists() or not list(films.iterdir())
    assert not (tmp_path / "none").exists()


def test_a_failure_among_many_leaves_no_half_video(workdir, talks, tmp_path, monkeypatch):
    whole = module.read_sound

    def failing(path):
        if Path(path).stem == "c":
            raise UserError("c.wav has gone")
        return whole(path)

    monkeypatch.setattr(module, "read_sound", failing)
    with pytest.raises(UserError, match="c.wav has gone"):
        infer(workdir=workdir, audio=f"{talks}/*.wav", out=tmp_path / "films")
    assert not [path for path in (tmp_path / "films").iterdir() if path.name.startswith(".")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_the_older_video_whole(workdir, tmp_path, number):
    soundfile.write(tmp_path / "long.wav", np.sin(np.arange(16_000 * 600) / 9) / 2, 16_000)
    out = tmp_path / "lecture.mp4"
    out.write_bytes(b"an older video")
    flags = (f"--workdir={workdir}", f"--audio={tmp_path}/long.wav", f"--out={out}")
    program = (
        "import runpy, signal\n"
        # Ignored where these tests run in the background.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "runpy.run_path('infer.py', run_name='__main__')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not list(tmp_path.glob(".unfinished-*")):  # it has begun to write
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        sent = time.monotonic()
        err = process.stderr.read()
    assert process.returncode == cli.INTERRUPTED + number, err
    assert "Interrupted: nothing is half-written" in err
    assert time.monotonic() - sent < 10
    assert out.read_bytes() == b"an older video"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lecture.mp4", "long.wav"]
