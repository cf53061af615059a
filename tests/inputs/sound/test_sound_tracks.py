"""WAV and FLAC of every sample format give the samples that were written."""

import contextlib
import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.sound import sound_tracks
from lumiere_jax.inputs.sound.sound_tracks import probe_audio, read_sound

BLOCKS = sound_tracks.blocks

# Steps of a format: linear ones are exact to one, the others to a part of their loudness.
LINEAR = {
    "PCM_U8": 2**-7,
    "PCM_S8": 2**-7,
    "PCM_16": 2**-15,
    "PCM_24": 2**-23,
    "PCM_32": 2**-23,  # float32 holds no more
    "FLOAT": 2**-23,
    "DOUBLE": 2**-23,
}
ROUGH = {"ALAW": 0.02, "ULAW": 0.02, "IMA_ADPCM": 0.1, "MS_ADPCM": 0.1}
FORMATS = [("WAV", kind) for kind in [*LINEAR, *ROUGH] if kind != "PCM_S8"]
FORMATS += [("FLAC", kind) for kind in ("PCM_S8", "PCM_16", "PCM_24")]
FORMATS += [("W64", "PCM_16"), ("AIFF", "PCM_24"), ("CAF", "FLOAT"), ("AU", "ULAW")]
FORMATS += [("WAVEX", "PCM_24"), ("RF64", "PCM_16")]


@pytest.mark.parametrize("container, kind", FORMATS)
@pytest.mark.parametrize("rate, channels", [(8000, 1), (44_100, 2), (48_000, 1), (96_000, 2)])
def test_samples_are_those_that_were_written(tmp_path, container, kind, rate, channels):
    time = np.arange(rate // 2)[:, None] / rate
    sound = 0.5 * np.sin(2 * np.pi * (220 + 110 * np.arange(channels)) * time)
    soundfile.write(tmp_path / "voice", sound, rate, kind, format=container)
    read = np.concatenate(list(read_sound(tmp_path / "voice")))
    told = probe_audio(tmp_path / "voice")
    assert (told.rate, told.channels, told.samples) == (rate, channels, len(read))
    if kind in LINEAR:
        assert len(read) == len(sound)
        np.testing.assert_allclose(read, sound, atol=1.01 * LINEAR[kind])
    else:  # blocks of ADPCM are filled up, and it begins softly
        assert len(sound) <= len(read) < len(sound) + 4096
        np.testing.assert_allclose(read[99 : len(sound)], sound[99:], atol=ROUGH[kind])


@pytest.mark.parametrize("bits", range(8, 33))
def test_flac_of_every_depth(tmp_path, bits):
    """Written here: a frame of verbatim samples, whatever their size, between stream and CRC."""
    numbers = np.array([0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), 5] * 4)
    (tmp_path / "voice.flac").write_bytes(flac(numbers, bits))
    read = np.concatenate(list(read_sound(tmp_path / "voice.flac")))
    np.testing.assert_allclose(read[:, 0], numbers / 2 ** (bits - 1), atol=2**-23)


def crc(data, bits, polynomial):
    value = 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
    return value


def flac(numbers, bits):
    """A stream of one frame at 16 kHz; RFC 9639, sections 8.2, 9.1 and 9.2.4."""
    n = len(numbers)
    stream = (16_000 << 44) | ((bits - 1) << 36) | n
    info = struct.pack(">HH", n, n) + bytes(6) + stream.to_bytes(8) + bytes(16)
    # Block size in the next byte, rate and depth as in the stream's own header; frame 0.
    head = bytes([0xFF, 0xF8, 0x60, 0x00, 0x00, n - 1])
    head += bytes([crc(head, 8, 0x07)])
    body = 0x02  # verbatim
    for number in numbers.tolist():
        body = (body << bits) | (number % (1 << bits))
    left = -bits * n % 8
    frame = head + (body << left).to_bytes((bits * n + left) // 8 + 1)
    return b"fLaC\x80\0\0\x22" + info + frame + struct.pack(">H", crc(frame, 16, 0x8005))


@pytest.mark.parametrize("offset, size", [(22, "H"), (24, "I"), (28, "I"), (32, "H"), (34, "H")])
@pytest.mark.parametrize("value", [0, 1, 2**15, 2**16 - 1, 2**31, 2**32 - 1])
def test_absurd_headers_give_sound_or_one_error(tmp_path, offset, size, value):
    """Channels, rate, bytes a second, bytes a sample and its bits."""
    soundfile.write(tmp_path / "a.wav", np.zeros(4000), 16_000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    struct.pack_into(f"<{size}", data, offset, value % 2 ** (8 * struct.calcsize(size)))
    (tmp_path / "a.wav").write_bytes(data)
    with contextlib.suppress(UserError):
        told = probe_audio(tmp_path / "a.wav")
        assert 1000 <= told.rate <= 768_000 and 1 <= told.channels <= 64
        for block in read_sound(tmp_path / "a.wav"):
            assert np.isfinite(block).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e300, -1e300, 3e38])
def test_numbers_that_are_no_sound_are_bounded(tmp_path, value):
    soundfile.write(tmp_path / "a.wav", np.array([0.5, value, 0.5]), 16_000, "DOUBLE")
    (block,) = read_sound(tmp_path / "a.wav")
    assert np.abs(block).max() <= 2**15 and block[0] == block[2] == 0.5


WAYS = [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("WAV", "IMA_ADPCM"), ("AIFF", "PCM_24")]


@settings(max_examples=80, derandomize=True, deadline=None, database=None)
@given(
    way=st.sampled_from(WAYS),
    place=st.floats(0, 1),
    value=st.binary(max_size=12),
    cut=st.floats(0, 2),
)
def test_damage_gives_sound_or_one_error(tmp_path_factory, way, place, value, cut):
    stream = io.BytesIO()
    soundfile.write(stream, np.sin(np.arange(2000) / 9), 16_000, way[1], format=way[0])
    data, at = stream.getvalue(), int(place**2 * len(stream.getvalue()))
    path = tmp_path_factory.mktemp("damaged") / "voice"
    path.write_bytes((data[:at] + value + data[at + len(value) :])[: int(cut * len(data))])
    with contextlib.suppress(UserError):
        assert sum(len(block) for block in read_sound(path)) == probe_audio(path).samples


def test_sound_that_goes_on_for_over_a_day_is_not_decoded_to_its_end(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", np.zeros(50 * 16_000), 16_000)
    monkeypatch.setattr(sound_tracks, "LONGEST", 60)
    assert probe_audio(tmp_path / "a.flac").seconds == 50
    monkeypatch.setattr(sound_tracks, "LONGEST", 10)
    decoded = []
    counted = lambda track: (decoded.append(len(b.samples)) or b for b in BLOCKS(track))  # noqa: E731
    monkeypatch.setattr(sound_tracks, "blocks", counted)
    (tmp_path / "a.flac").rename(tmp_path / "b.flac")
    with pytest.raises(UserError, match=r"b\.flac: its sound goes on for over a day; cut it"):
        probe_audio(tmp_path / "b.flac")
    assert sum(decoded) < 11 * 16_000
