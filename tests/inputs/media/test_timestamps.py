"""Files whose time stamps jump: all parts are used, one after the other, and in step."""

import math
from fractions import Fraction

import av
import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.footage.probing import probe
from lumiere_jax.inputs.footage.reading import read_audio, read_frames
from lumiere_jax.inputs.media.timestamps import jumps
from lumiere_jax.inputs.sound.sound_tracks import probe_audio, read_sound

FPS, RATE = Fraction(25), 16_000
SECONDS, MOMENT = 2, Fraction(4, 5)


def film(path, begins, codec="libx264", picture=True):
    """Takes of two seconds, whose first stamps are these seconds; at 0.8 s each flashes and
    rumbles."""
    codecs = {".mpg": ("mpeg2video", "mp2"), ".nut": ("ffv1", "pcm_s16le")}
    codec, sound = codecs.get(path.suffix, (codec, "aac"))
    with av.open(str(path), "w") as container:
        if picture:
            video = container.add_stream(codec, rate=25)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
        audio = container.add_stream(sound, rate=RATE, layout="mono")
        packets = []
        for begin in begins:
            for i in range(int(SECONDS * FPS) if picture else 0):
                bright = 235 if i == MOMENT * FPS else 30
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), bright, np.uint8), "rgb24")
                frame.pts, frame.time_base = begin * FPS + i, 1 / FPS
                packets += video.encode(frame.reformat(format="yuv420p"))
            wave = np.zeros(SECONDS * RATE, np.int16)
            at = int(MOMENT * RATE)
            wave[at : at + 640] = 20_000 * np.sin(np.arange(640))
            for start in range(0, len(wave), 640):
                frame = av.AudioFrame.from_ndarray(wave[None, start : start + 640], "s16", "mono")
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                frame.pts = begin * RATE + start
                packets += audio.encode(frame)
        packets += video.encode(None) if picture else []
        for packet in packets + audio.encode(None):
            container.mux(packet)
    return path


def joined(tmp_path, suffix, begins):
    parts = [film(tmp_path / f"{i}{suffix}", [begin]) for i, begin in enumerate(begins)]
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def moments(path):
    """When it flashes and when it rumbles, in seconds."""
    bright = np.array([picture.mean() > 128 for _, picture in read_frames(path, FPS, 64)])
    loud = np.abs(np.concatenate(list(read_audio(path)))) > 0.1
    loud[1:] &= ~np.array([loud[max(i - 1600, 0) : i].any() for i in range(1, len(loud))])
    return np.flatnonzero(bright) / 25, np.flatnonzero(loud) / RATE


@pytest.mark.parametrize("begins", [(0, 0), (0, 300), (300, 0), (100, 40, 40), (0, 90_000)])
@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".mkv"])
def test_joined_files_are_used_whole_and_in_step(tmp_path, suffix, begins):
    if suffix == ".mkv":
        begins = begins[:2]  # FFmpeg reads no more of them
    path = joined(tmp_path, suffix, begins)
    clip = probe(path)
    assert not clip.truncated and clip.unheard == () and clip.entry == math.inf
    assert abs(clip.frames(FPS) - 50 * len(begins)) <= len(begins) and len(jumps(path)) == 2
    flashes, rumbles = moments(path)
    assert len(flashes) == len(rumbles) == len(begins)
    # Encoders delay the sound of a take by up to a frame.
    np.testing.assert_allclose(rumbles, flashes, atol=0.06)
    np.testing.assert_allclose(np.diff(flashes), SECONDS, atol=0.04)
    parts = [probe_audio(part).samples for part in tmp_path.glob(f"[0-9]{suffix}")]
    # Matroska says only of the first how many samples its encoder put in front.
    assert 0 <= probe_audio(path).samples - sum(parts) <= 1024 * (len(begins) - 1)


def test_a_clock_that_is_set_while_recording_is_followed(tmp_path):
    path = film(tmp_path / "set.nut", [7, 200, 500])
    flashes, rumbles = moments(path)
    np.testing.assert_allclose(flashes, [0.8, 2.8, 4.8], atol=0.001)
    np.testing.assert_allclose(rumbles, [0.8, 2.8, 4.8], atol=0.04)
    assert probe(path).frames(FPS) == 150 and probe_audio(path).samples == 6 * RATE


@pytest.mark.parametrize("begin, jumped", [(95_000, True), (96_000, False)])
def test_a_clock_jumps_by_no_more_than_its_33_bits(tmp_path, begin, jumped):
    """More is a mistake, which no pictures are made for."""
    path = film(tmp_path / "far.nut", [0, begin])
    assert len(jumps(path)) == (2 if jumped else 0)
    if jumped:
        assert probe(path).frames(FPS) == 100
    else:
        with pytest.raises(UserError, match="over a day"):
            probe(path)


def test_a_pause_of_both_tracks_stays_a_pause(tmp_path):
    path = joined(tmp_path, ".ts", (0, 5))
    assert probe(path).unheard == (pytest.approx((2, 5), abs=0.15),)
    flashes, rumbles = moments(path)
    # A TS moves its stamps so that the sound, which begins before zero, does not.
    np.testing.assert_allclose(np.diff(flashes), 5, atol=0.1)
    np.testing.assert_allclose(np.diff(rumbles), np.diff(flashes), atol=0.04)
    assert jumps(path) == {}


@pytest.mark.parametrize("suffix", [".mkv", ".m4a", ".ts"])
def test_a_gap_of_two_seconds_in_a_narration_is_spoken(tmp_path, suffix):
    path = film(tmp_path / f"a{suffix}", [0, 4], picture=False)
    sound = probe_audio(path)
    assert sound.seconds == pytest.approx(6, abs=0.1)
    heard = np.concatenate(list(read_sound(path)))[:, 0]
    assert len(heard) == sound.samples
    loud = np.flatnonzero(np.abs(heard) > 0.1)
    first, last = loud[0], loud[loud > 3 * RATE][0]
    assert (last - first) / RATE == pytest.approx(4, abs=0.07)


def test_files_whose_stamps_do_not_jump_are_left_as_they_are(tmp_path):
    for name in ("a.ts", "a.mpg", "a.mkv", "a.nut", "a.mp4"):
        assert jumps(film(tmp_path / name, [3])) == {}


def test_a_container_that_breaks_off_is_read_as_far_as_it_goes(tmp_path):
    """Its second block promises more than a block may hold."""
    whole, cut = tmp_path / "whole.wv", tmp_path / "cut.wv"
    sound = (np.sin(np.arange(3 * 48_000) / 9) * 9000).astype(np.int16)
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("wavpack", rate=48_000, layout="mono")
        for start in range(0, len(sound), 4800):
            frame = av.AudioFrame.from_ndarray(sound[None, start : start + 4800], "s16p", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = bytearray(whole.read_bytes())
    second = data.index(b"wvpk", 4)
    data[second + 4 : second + 8] = b"\xff\xff\xff\x7f"
    cut.write_bytes(data)
    assert not probe_audio(whole).truncated
    part = probe_audio(cut)
    assert part.truncated and 0 < part.samples < probe_audio(whole).samples
