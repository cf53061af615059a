"""What a video says of itself is told, whatever it holds."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lumiere_jax.commands import verify as module
from lumiere_jax.commands.verify import verify
from lumiere_jax.drawn.lecturer import draw_lecture
from lumiere_jax.errors import UserError
from lumiere_jax.outputs.video import write_video

ROOT = Path(__file__).parents[2]
RECORD = {"generator": "lumiere_jax 0", "who": "Ada", "model": "m1"}


@pytest.fixture(scope="module")
def pictures():
    sound = np.sin(np.arange(16000) / 20).astype(np.float32) / 3
    drawn = draw_lecture(sound, Fraction(30), 128, 0)
    return [next(drawn).frame for _ in range(20)]


@pytest.fixture(scope="module")
def ours(pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("ours") / "a.mp4"
    write_video(path, pictures, Fraction(30), [np.zeros((9000, 1), np.float32)], 16000, 1, RECORD)
    return path


def written(path, pictures, comment=None, codec="libx264", rate=30, **options):
    """A video of pictures by another program's hand."""
    with av.open(str(path), "w") as container:
        if comment is not None:
            container.metadata["comment"] = comment
        stream = container.add_stream(codec, rate=rate, options=options)
        rows, cols, _ = pictures[0].shape
        stream.width, stream.height, stream.pix_fmt = cols, rows, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def shown(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_video_of_ours_says_so_twice(ours, capsys):
    assert verify(ours) is True
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "metadata: synthetic, as it says itself"
    assert {"  who: Ada", "  model: m1", "  synthetic: true"} < set(lines)
    assert any(line.startswith("pixels: marked as synthetic by lumiere_jax (") for line in lines)
    assert "where 5 is enough" in lines[-2] and lines[-1] == "Content Credentials: none"


@pytest.mark.parametrize("name, codec", [("a.mp4", "libx264"), ("a.ts", "mpeg2video"),
                                         ("a.mkv", "libx264")])  # fmt: skip
def test_the_pixels_say_so_where_label_and_metadata_are_gone(ours, tmp_path, capsys, name, codec):
    cut = [np.ascontiguousarray(picture[:116]) for picture in shown(ours)]
    quality = {"crf": "23"} if codec == "libx264" else {"qscale": "3"}
    assert verify(written(tmp_path / name, cut, codec=codec, **quality)) is True
    out = capsys.readouterr().out
    assert "metadata: no record" in out and "pixels: marked" in out


def test_the_metadata_say_so_where_the_pixels_do_not(pictures, tmp_path, capsys):
    path = written(tmp_path / "a.mp4", pictures, json.dumps({**RECORD, "synthetic": True}))
    assert verify(path) is True
    assert "pixels: no mark of lumiere_jax found (" in capsys.readouterr().out


@pytest.mark.parametrize("comment", [None, "", '{"who": "Ada"}', '{"synthetic": "true"}'])
def test_a_video_that_does_not_say_so(pictures, tmp_path, comment):
    assert verify(written(tmp_path / "a.mp4", pictures, comment)) is False


def test_real_pictures_say_nothing(pictures, tmp_path):
    path, sound = tmp_path / "real.mp4", [np.zeros((9000, 1), np.float32)]
    write_video(path, pictures, Fraction(30), sound, 16000, 1, None)
    assert verify(path) is False


@pytest.mark.parametrize(
    "comment",
    [
        '["synthetic", true]',
        "true",
        "NaN",
        '{"synthetic": true',
        "[" * 50_000,
        '{"a": ' * 9000,
        '{"synthetic": 1}',
        json.dumps({"synthetic": True, "who": "x" * 10_000_000}),
        "\x1b[2J\x1b]0;owned\x07 not JSON",
    ],
    ids=str,
)
def test_hostile_comments_are_no_record(pictures, tmp_path, capsys, comment):
    assert verify(written(tmp_path / "a.mp4", pictures, comment)) is False
    assert len(capsys.readouterr().out) < 5000


def test_nothing_reaches_the_terminal_but_printable_signs(pictures, tmp_path, capsys):
    nasty = "\x1b[2J\x1b]0;owned\x07\r\n\u202emoc\x9b1m" + "y" * 1000
    record = {nasty: nasty, "synthetic": True, "deep": {"list": [nasty] * 20}}
    record |= {f"field {i}": i for i in range(500)}
    assert verify(written(tmp_path / "a.mp4", pictures, json.dumps(record))) is True
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable() and "owned" in out
    assert out.count("\n") < 60 and max(map(len, out.splitlines())) < 500


def test_a_long_video_is_looked_at_in_places(tmp_path, monkeypatch):
    """An hour costs as many decoded pictures as a minute."""
    grey = [np.full((64, 64, 3), i % 200, np.uint8) for i in range(900)]
    path = written(tmp_path / "a.mp4", grey, rate=Fraction(1, 4), g="60")
    looked = []
    monkeypatch.setattr(module, "strength", lambda greys: looked.append(list(greys)) or 0.0)
    assert verify(path) is False
    values = {round(float(grey.mean())) for grey in looked[0]}
    assert len(looked[0]) <= module.PLACES * module.EACH and len(values) > module.EACH


def test_files_that_are_no_videos_are_named(tmp_path):
    (tmp_path / "text.mp4").write_text("ffconcat version 1.0\nfile /etc/passwd\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name, problem in (
        ("text.mp4", "not a media file"),
        ("empty.mp4", "empty"),
        ("none.mp4", "there is no such file"),
    ):
        with pytest.raises(UserError, match=f"{name}: .*{problem}"):
            verify(tmp_path / name)


def test_pictures_of_a_kind_that_cannot_be_converted_are_left_out(tmp_path, capsys):
    with av.open(str(tmp_path / "odd.nut"), "w") as container:
        stream = container.add_stream("rawvideo", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "bgr4"
        frame = av.VideoFrame(64, 64, "bgr4")
        container.mux(stream.encode(frame))
    assert not verify(tmp_path / "odd.nut")
    assert "pixels: " in capsys.readouterr().out


def test_credentials_are_not_looked_at_without_the_library(ours, capsys, monkeypatch):
    monkeypatch.setattr(module, "c2pa", lambda: None)
    assert verify(ours) is True
    assert "not looked at, c2pa-python is not installed" in capsys.readouterr().out


def script(*arguments):
    done = subprocess.run(
        [sys.executable, "infer.py", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_the_script_exits_with_0_1_or_2(ours, pictures, tmp_path):
    code, out, err = script(f"--verify={ours}")
    assert (code, err) == (0, "") and "synthetic: true" in out
    code, out, err = script(f"--verify={written(tmp_path / 'a.mp4', pictures)}")
    assert (code, err) == (1, "") and "no mark of" in out
    code, out, err = script("--verify=none.mp4")
    assert (code, out) == (2, "") and err.startswith("error: none.mp4: there is no such file")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--verify=a.mp4", "--workdir=x"], "--verify only looks at a video: leave --workdir out"),
        (["--verify=a.mp4", "--live"], "leave --live out"),
        (
            ["--workdir=x", "--audio=a.wav", "--out=b.mp4", "--key=k.pem"],
            "name --certificate and --key together",
        ),
    ],
)
def test_flags_that_do_not_go_together(arguments, sentence):
    code, out, err = script(*arguments)
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
