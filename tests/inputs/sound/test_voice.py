"""Which of several sound tracks is heard, and how channels add up to a voice."""

from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.footage.probing import probe
from lumiere_jax.inputs.footage.reading import read_audio, read_frames
from lumiere_jax.inputs.sound.sound_tracks import heard, probe_audio, read_sound
from lumiere_jax.inputs.sound.voice import LIKE, Voice

RATE, SECONDS = 16_000, 8
TIME = np.arange(SECONDS * RATE) / RATE
KEY = np.random.default_rng(0)


def speech(seed=0, hertz=440):
    """Syllables of random lengths and levels, as of a voice."""
    key = np.random.default_rng(seed)
    levels = np.concatenate(
        [key.random() * np.hanning(key.integers(1500, 4500)) for _ in range(2 * 8 * SECONDS)]
    )[: len(TIME)]
    return 0.5 * levels * (np.sin(2 * np.pi * hertz * TIME) + 0.2 * key.normal(size=len(TIME)))


CHORD = sum(0.2 * np.sin(2 * np.pi * hertz * TIME) for hertz in (330, 415, 494))
BEAT = CHORD * np.exp(-8 * ((2 * TIME) % 1))
NOISE = 0.02 * KEY.normal(size=len(TIME))


def measured(sound, rate=RATE, cuts=7):
    sound = sound.reshape(len(sound), -1)
    voice = Voice(rate, sound.shape[1])
    for piece in np.array_split(sound, cuts):
        voice.hear(piece)
    return voice


def test_speech_is_told_from_music_noise_and_silence():
    assert measured(speech()).speech == LIKE
    assert measured(0.1 * speech() + 0.2 * NOISE + 0.3).speech > LIKE / 2
    for other in (CHORD, BEAT, NOISE, CHORD + NOISE):
        assert measured(other).speech < LIKE / 4
    assert measured(0 * NOISE).speech == measured(0 * NOISE + 0.5).speech == 0
    # Also where there is less than it usually listens to.
    assert measured(speech()[:4000]).speech == LIKE
    assert measured(NOISE[:4000]).speech < LIKE / 4


def test_pieces_change_nothing():
    whole, cut = (measured(np.c_[speech(), NOISE], cuts=cuts) for cuts in (1, 999))
    assert whole.speech == pytest.approx(cut.speech, rel=1e-9)
    np.testing.assert_allclose(whole.together, cut.together)


def test_channels_that_oppose_the_strongest_are_turned_over():
    voice, late = speech(), np.roll(speech(), 40)
    for channels, mix in (
        ((voice, voice), ()),
        ((voice, 0 * voice), ()),
        ((voice, -voice), (0.5, -0.5)),
        ((voice, -0.3 * voice), (0.5, -0.5)),
        ((-0.3 * voice, voice), (-0.5, 0.5)),
        ((-voice, 1.2 * voice), (0.5, -0.5)),
        ((voice, -1.2 * voice), (0.5, -0.5)),
        ((voice + 0.3, 0.3 - voice), (0.5, -0.5)),
        ((voice, speech(1, 700)), ()),
        ((0 * voice, NOISE, voice, 0 * voice, NOISE, -NOISE), ()),
        ((voice, -voice, voice, -voice), (0.25, -0.25, 0.25, -0.25)),
    ):
        found = measured(np.stack(channels, 1)).mix
        assert found == mix
        mono = np.stack(channels, 1) @ (found or np.full(len(channels), 1 / len(channels)))
        alone = np.std(voice) / len(channels)
        assert np.std(mono) > 0.95 * alone
        # The right way up: as the first of the strong channels.
        strong = max(map(np.var, channels)) / 2
        first = next(channel for channel in channels if np.var(channel) >= strong)
        assert np.corrcoef(mono, first)[0, 1] > 0.7
    mono = np.stack([voice, late], 1) @ (measured(np.stack([voice, late], 1)).mix or (0.5, 0.5))
    assert np.std(mono) > 0.5 * np.std(voice)


def test_an_inverted_voice_is_heard_as_the_voice(tmp_path):
    voice = 0.5 * speech()
    soundfile.write(tmp_path / "mono.wav", voice, RATE)
    for name, other in (("inverted", -voice), ("partly", -0.5 * voice), ("alone", 0 * voice)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, np.c_[voice, other], RATE)
        mono, mixed = (
            np.concatenate(list(heard(probe_audio(tmp_path / f"{n}.wav")))) for n in ("mono", name)
        )
        assert len(mixed) == len(mono)
        assert np.corrcoef(mono, mixed)[0, 1] > 0.999
        # The video keeps the channels as they were recorded.
        assert np.concatenate(list(read_sound(path))).shape == (len(voice), 2)


def tracks(path, sounds, unknown=None, default=0):
    """A clip with several sound tracks, of which one may have a codec that nobody knows."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        packets = []
        for i in range(10 * SECONDS):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), i, np.uint8), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            packets += video.encode(frame)
        packets += video.encode(None)
        for number, sound in enumerate(sounds):
            # Of another length for each codec, so that its name is found in the file.
            codec = "pcm_s16le" if path.suffix == ".mov" and number == unknown else "aac"
            audio = container.add_stream(codec, rate=RATE, layout="mono")
            flags = av.stream.Disposition
            audio.disposition = flags.default if number == default else flags(0)
            wave = (2**15 * np.clip(sound, -1, 0.99)).astype(np.int16)
            for start in range(0, len(wave), 1024):
                frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "s16", "mono")
                frame.sample_rate, frame.pts = RATE, start
                packets += audio.encode(frame)
            packets += audio.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    if unknown is not None:
        data = path.read_bytes()
        assert data.count(b"sowt") == 1
        path.write_bytes(data.replace(b"sowt", b"apac"))
    return path


def loudness(sound):
    return float(np.sqrt(np.mean(np.concatenate(list(sound)) ** 2)))


@pytest.mark.parametrize("first", [0 * NOISE, NOISE, CHORD, BEAT])
def test_of_several_tracks_the_one_with_speech_is_heard(tmp_path, first):
    path = tracks(tmp_path / "a.mkv", [first, speech()])
    clip, sound = probe(path), probe_audio(path)
    assert (clip.sound_track, clip.sound_tracks) == (sound.track, sound.tracks) == (2, 2)
    alone = tracks(tmp_path / "b.mkv", [speech()])
    wanted = np.concatenate(list(read_audio(alone)))
    for source in (path, clip):
        np.testing.assert_array_equal(np.concatenate(list(read_audio(source))), wanted)
    assert sum(1 for _ in read_frames(clip, Fraction(10), 64)) == clip.frames(Fraction(10))
    named = probe(path, 1)
    assert named.sound_track == 1
    assert loudness(read_sound(probe_audio(path, 1))) == pytest.approx(np.std(first), abs=0.01)
    for wrong in (0, 3):
        with pytest.raises(UserError, match=rf"no --sound_track={wrong}: this file has 2 sound tr"):
            probe(path, wrong)


@pytest.mark.parametrize("level, number", [(0.001, 1), (0.01, 2)])
def test_speech_that_nobody_hears_beside_another_track_is_not_used(tmp_path, level, number):
    quiet = level * speech() / np.std(speech())
    assert measured(quiet).speech > LIKE / 2
    assert probe_audio(tracks(tmp_path / "a.mkv", [CHORD, quiet])).track == number


def test_among_tracks_of_speech_the_one_that_players_choose_is_heard(tmp_path):
    both = [speech(), 0.3 * speech(1)]
    for default, number in ((0, 1), (1, 2)):
        path = tracks(tmp_path / f"{default}.mkv", both, default=default)
        assert probe(path).sound_track == number
    assert probe(tracks(tmp_path / "one.mkv", [speech()])).sound_tracks == 1
    assert probe(tracks(tmp_path / "silent.mkv", [0 * NOISE, 0 * NOISE])).sound_track == 1


@pytest.mark.parametrize("unknown", [0, 1])
def test_a_track_that_cannot_be_decoded_does_not_hide_one_that_can(tmp_path, unknown):
    path = tracks(tmp_path / "phone.mov", [speech(), speech()], unknown=unknown, default=unknown)
    clip = probe(path)
    assert (clip.sound_track, clip.sound_tracks) == (2 - unknown, 2) and not clip.truncated
    assert loudness(read_audio(clip)) > 0.05
    with pytest.raises(UserError, match=r"phone\.mov: its sound is coded in a way that cannot be"):
        probe_audio(path, unknown + 1)
