"""Headers that do not know their length: every sample is read, and only what is cut off is."""

import io
import struct

import numpy as np
import pytest
import soundfile

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.sound.sound_tracks import probe_audio, read_sound

SOUND = 0.1 * np.random.default_rng(0).normal(size=(10_001, 2))
# By format, how lengths are packed, where that of the whole lies, and where that of the data from
# its chunk's name on.
PLACES = {"WAV": ("<I", 4, 4), "WAVEX": ("<I", 4, 4), "AIFF": (">I", 4, 4), "W64": ("<Q", 16, 16)}
NAMES = {"AIFF": b"SSND", "AU": b".snd"}
KINDS = [
    *[("WAV", kind) for kind in ("PCM_16", "PCM_24", "FLOAT", "PCM_U8")],
    *[("WAVEX", "PCM_24"), ("AIFF", "PCM_16"), ("AIFF", "PCM_24"), ("AU", "PCM_16")],
    ("W64", "PCM_16"),
]


def written(kind):
    stream = io.BytesIO()
    soundfile.write(stream, SOUND, 16_000, kind[1], format=kind[0])
    return bytearray(stream.getvalue())


def unknown(data, format, value):
    """With a length that stands for an unknown one."""
    packing, whole, own = PLACES.get(format, (">I", None, 8))
    size = struct.calcsize(packing)
    value = (
        {0x7FFF_FFFF: 2**63 - 1, 0xFFFF_FFFF: 2**64 - 1}.get(value, value) if size == 8 else value
    )
    place = data.index(NAMES.get(format, b"data")) + own
    for at in (whole, place):
        if at is not None:
            data[at : at + size] = struct.pack(packing, value)
    return data


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "value", [None, 0, 0x7FFF_FFFF, 0x7FFF_F000, 0xFFFF_FFFF, 0xFFFF_FFFF - 36]
)
def test_every_sample_is_read(tmp_path, kind, value):
    data = written(kind)
    if value is not None and (kind[0] != "W64" or value in (0, 0x7FFF_FFFF, 0xFFFF_FFFF)):
        data = unknown(data, kind[0], value)
    (tmp_path / "voice").write_bytes(data)
    told = probe_audio(tmp_path / "voice")
    read = np.concatenate(list(read_sound(tmp_path / "voice")))
    assert (told.samples, told.truncated) == (10_001, False)
    np.testing.assert_allclose(read, SOUND, atol=0.01 if kind[1] == "PCM_U8" else 1e-4)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[0] != "AU"])
def test_a_length_of_nothing_is_unknown_though_that_of_the_whole_file_is_right(tmp_path, kind):
    data = written(kind)
    packing, whole, _ = PLACES[kind[0]]
    size = struct.calcsize(packing)
    right = data[whole : whole + size]
    data = unknown(data, kind[0], 0)
    data[whole : whole + size] = right
    (tmp_path / "voice").write_bytes(data)
    told = probe_audio(tmp_path / "voice")
    assert (told.samples, told.truncated) == (10_001, False)
    assert sum(map(len, read_sound(tmp_path / "voice"))) == 10_001


@pytest.mark.parametrize("value", [None, 0, 2**63 - 1, 2**64 - 1])
def test_an_rf64_whose_long_lengths_are_unknown_is_read(tmp_path, value):
    data = written(("RF64", "PCM_16"))
    if value is not None:
        data[20:36] = struct.pack("<QQ", value, value)
    (tmp_path / "voice").write_bytes(data)
    told = probe_audio(tmp_path / "voice")
    assert (told.samples, told.truncated) == (10_001, False)
    assert sum(map(len, read_sound(tmp_path / "voice"))) == 10_001


@pytest.mark.parametrize("count", [0, 0xFFFF_FFFF])
def test_an_aiff_that_does_not_know_its_samples_is_read(tmp_path, count):
    data = unknown(written(("AIFF", "PCM_16")), "AIFF", 0xFFFF_FFFF)
    place = data.index(b"COMM") + 10
    data[place : place + 4] = struct.pack(">I", count)
    (tmp_path / "voice").write_bytes(data)
    assert probe_audio(tmp_path / "voice").samples == 10_001


def test_chunks_before_and_behind_the_data_are_no_sound(tmp_path):
    chunk = b"LIST" + struct.pack("<I", 5) + b"INFO!\0"
    data = written(("WAV", "PCM_16"))
    (tmp_path / "behind").write_bytes(data + chunk)
    place = data.index(b"data")
    (tmp_path / "before").write_bytes(
        unknown(data[:place] + chunk + data[place:], "WAV", 2**32 - 1)
    )
    for name in ("behind", "before"):
        told = probe_audio(tmp_path / name)
        assert (told.samples, told.truncated) == (10_001, False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", [900, 4096])
def test_what_is_cut_off_is_called_so(tmp_path, kind, left):
    """Also where a packet ends just there."""
    data = written(kind)
    start = len(data) - len(data) // 4096 * 4096
    (tmp_path / "voice").write_bytes(data[: start + len(data) // 4096 * 4096 - left])
    told = probe_audio(tmp_path / "voice")
    assert told.truncated and 7_000 < told.samples < 10_001


def test_a_file_without_sound_that_knows_it_has_none(tmp_path):
    stream = io.BytesIO()
    soundfile.write(stream, SOUND[:0], 16_000, format="WAV")
    data = bytearray(stream.getvalue()) + b"LIST\4\0\0\0INFO"
    data[4:8] = struct.pack("<I", len(data) - 8)
    (tmp_path / "voice.wav").write_bytes(data)
    with pytest.raises(UserError, match=r"voice\.wav: "):
        probe_audio(tmp_path / "voice.wav")
