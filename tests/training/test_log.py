"""What is seen in TensorBoard is read back from the events, which are length, CRC, data, CRC."""

import io
import json
import struct
from fractions import Fraction

import numpy as np
import pytest
import soundfile
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from lumiere_jax.training.log import Clip, Log, encode_gif


def events(folder):
    """(step, tag, value) of every event, in the order of the files."""
    found = []
    for path in sorted((folder / "events").iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            found += [(event.step, value.tag, value) for value in event.summary.value]
            at += length + 16
    return found


@pytest.fixture
def clip():
    """A bar that moves to the right, and a tone in stereo."""
    pictures = np.zeros((31, 32, 64, 3), np.uint8)
    for t, picture in enumerate(pictures):
        picture[:, 2 * t : 2 * t + 2] = 255
    tone = 0.5 * np.sin(np.arange(16_533) / 8).astype(np.float32)
    return Clip(pictures, Fraction(30), np.stack([tone, tone], 1), 16_000)


def test_a_clip_moves_and_sounds_in_the_events(tmp_path, clip):
    log = Log(tmp_path, 0)
    log.clip(5, clip)
    log.close()
    (_, _, image), (_, _, sound) = found = events(tmp_path)
    assert [(step, tag) for step, tag, _ in found] == [(5, "clip"), (5, "clip/sound")]
    moving = Image.open(io.BytesIO(image.image.encoded_image_string))
    assert (moving.format, moving.n_frames, moving.size) == ("GIF", 11, (64, 32))
    for i in (0, 4, 10):
        moving.seek(i)
        shown = np.asarray(moving.convert("L"))
        assert moving.info["duration"] == 100
        assert set(np.flatnonzero(shown.mean(0) > 128)) == {6 * i, 6 * i + 1}
    heard, rate = soundfile.read(io.BytesIO(sound.audio.encoded_audio_string))
    assert rate == 16_000 and heard.shape == clip.sound.shape
    np.testing.assert_allclose(heard, clip.sound, atol=1e-4)


def test_a_gif_keeps_the_colours_of_its_pictures():
    random = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    picture = random.repeat(8, 0).repeat(8, 1)
    shown = Image.open(io.BytesIO(encode_gif(picture[None], 0.1))).convert("RGB")
    assert np.abs(np.asarray(shown).astype(int) - picture).mean() < 8


def test_a_warning_is_said_once_in_a_run_even_if_it_is_resumed(tmp_path, capsys):
    for step in (0, 7):
        log = Log(tmp_path, step)
        log.warn(step + 5, "deaf", "the code is deaf")
        log.warn(step + 6, "deaf", "the code is deaf still")
        log.close()
    assert capsys.readouterr().out == "warning: the code is deaf\n"
    (line,) = (tmp_path / "warnings.jsonl").read_text().splitlines()
    assert json.loads(line) == {"step": 5, "kind": "deaf", "sentence": "the code is deaf"}
    ((step, tag, value),) = events(tmp_path)
    assert (step, tag) == (5, "warnings/deaf/text_summary")
    assert value.tensor.string_val[0] == b"the code is deaf"


def test_a_warning_of_steps_that_were_lost_is_said_again(tmp_path, capsys):
    for sentence in ("first", "second"):
        log = Log(tmp_path, 3)
        log.warn(5, "deaf", sentence)
        log.close()
    assert capsys.readouterr().out == "warning: first\nwarning: second\n"
    assert "second" in (tmp_path / "warnings.jsonl").read_text()
    assert "first" not in (tmp_path / "warnings.jsonl").read_text()


def test_a_resumed_log_remembers_its_lines(tmp_path):
    for step in (0, 2):
        log = Log(tmp_path, step)
        for i in (1, 2, 3):
            log.scalars(step + i, {"loss": float(step)})
        log.close()
    assert [(line["step"], line["loss"]) for line in log.lines] == [
        *((1, 0.0), (2, 0.0)),
        *((3, 2.0), (4, 2.0), (5, 2.0)),
    ]


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe\n",
        b'{"step": 2, "loss": "low"}\n',
        b'{"step": 2, "loss": [1]}\n',
        b'{"step": -1}\n',
        b'{"step": 1e999}\n',
        b'{"step": true}\n',
        b'{"loss": 3}\n',
        b'["step"]\n',
        b"7}\n",
        b"[" * 100_000 + b"}\n",
        b'{"step": ' + b"9" * 5000 + b"}\n",
        b'{"step": 2, "kind": 3}\n',
        b'{"step": 2, "lo',
    ],
)
def test_damaged_lines_are_left_out(tmp_path, damage):
    rest = b'{"step": 2, "loss": NaN}\n' if damage.endswith(b"\n") else b""
    for name in ("log.jsonl", "warnings.jsonl"):
        (tmp_path / name).write_bytes(b'{"step": 1, "loss": 0.5}\n' + damage + rest)
    log = Log(tmp_path, 9)
    log.close()
    assert [line["step"] for line in log.lines] == ([1, 2] if rest else [1])
