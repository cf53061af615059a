"""What lies under speech is removed without delay, and a band without sound is known."""

from fractions import Fraction

import numpy as np
import pytest
import soundfile
from scipy.signal import butter, resample_poly, sosfilt

from lumiere_jax.audio import features
from lumiere_jax.audio.features import loudness_gain, normalise
from lumiere_jax.audio.frame_times import RATE, frames_within
from lumiere_jax.audio.front_ends import log_mel, rows_of
from lumiere_jax.audio.level_and_band import HighPass, Level, above_rumble, band_message, measure
from lumiere_jax.drawn.lecturer import narration

FPS = Fraction(30)


def voice(seconds=6, seed=0):
    """Syllables of tones of many harmonics and of hisses, over a floor of noise."""
    key = np.random.default_rng(seed)
    sound = 1e-3 * key.normal(size=seconds * RATE)
    for start in range(0, len(sound) - 5000, 4000):
        length = key.integers(1500, 4000)
        time = np.arange(length) / RATE
        pitch = key.uniform(100, 220)
        tone = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 30))
        hiss = key.normal(size=length) * key.uniform(0, 0.5)
        sound[start : start + length] += 0.1 * np.hanning(length) * (tone + hiss)
    return sound.astype(np.float32)


def filtered(sound, cuts=1):
    return np.concatenate(list(above_rumble(np.array_split(sound, cuts))))


def rows(sound):
    count = frames_within(len(sound), FPS)
    return rows_of(log_mel(FPS), [sound], count, loudness_gain([sound]))


def likeness(a, b):
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True)])


@pytest.mark.parametrize("samples", [0, 1, 703, 704, 705, 20_000])
def test_pieces_change_nothing_and_no_sample_is_lost(samples):
    sound = voice()[:samples] + np.float32(0.1)
    whole = [*above_rumble([sound])]
    for cuts in (1, 3, 97):
        cut = [*above_rumble(np.array_split(sound, cuts))]
        assert sum(map(len, cut)) == samples
        if samples:
            np.testing.assert_array_equal(np.concatenate(cut), np.concatenate(whole))


def test_a_high_pass_waits_for_a_window_only():
    high_pass = HighPass()
    assert len(high_pass(np.zeros(703))) == 0
    assert len(high_pass(np.zeros(1))) == 704 and len(high_pass(np.zeros(5))) == 5
    assert len(high_pass.rest()) == 0


def test_speech_stays_as_it_is():
    sound = voice()
    before, after = rows(sound), rows(filtered(sound))
    # The two lowest filters reach down to 0 and 44 Hz.
    assert (likeness(before, after)[2:] > 0.999).all()
    assert np.abs(before - after).mean(0)[2:].max() < 0.1
    assert features.loudness([filtered(sound)]) == pytest.approx(
        features.loudness([sound]), abs=0.05
    )


@pytest.mark.parametrize("scale, constant", [(1, 0.3), (0.2, 0.1), (1, -0.05), (0.05, 0.5)])
def test_a_constant_is_not_heard(scale, constant):
    sound = voice()
    changed = (scale * sound + constant).astype(np.float32)
    plain, other = filtered(sound), filtered(changed)
    level = features.loudness([other]) - 20 * np.log10(scale)
    assert level == pytest.approx(features.loudness([plain]), abs=0.3)
    assert (likeness(rows(plain), rows(other))[1:] > 0.98).all()
    # And it makes no click at the start.
    assert np.abs(other[:200]).max() < 0.05 * scale


def test_rumble_and_clipping_change_little():
    sound = voice()
    time = np.arange(len(sound)) / RATE
    for changed in (sound + 0.1 * np.sin(2 * np.pi * 12 * time), np.clip(sound + 0.6, -1, 1)):
        plain, other = rows(filtered(sound)), rows(filtered(changed.astype(np.float32)))
        assert np.mean(likeness(plain, other)[2:]) > 0.95
        assert measure([filtered(changed)]).level == pytest.approx(measure([sound]).level, abs=0.5)


def test_level_is_that_of_the_loudness_and_silence_has_none():
    sound = voice()
    hearing = measure(np.array_split(sound, 11))
    assert hearing.level == pytest.approx(features.loudness([sound]), abs=1e-9)
    assert measure([sound]) == hearing and 5.5 < hearing.seconds <= 6
    silent = measure([np.zeros(9000, np.float32)])
    assert silent == (-np.inf, 8000, 0) and measure([]) == silent


def low_passed(sound, edge):
    return sosfilt(butter(20, edge, fs=RATE, output="sos"), sound)


def test_where_a_band_ends():
    sound = voice()
    assert measure([sound]).band == 8000 and band_message(8000.0) is None
    eight = resample_poly(resample_poly(sound, 1, 2, window=("kaiser", 12)), 2, 1)
    for telephone in (eight, low_passed(sound, 3400)):
        assert measure([telephone.astype(np.float32)]).band == 4000
        # The noise of a coding with 12 bits or so changes nothing.
        noise = 5e-6 * np.random.default_rng(0).normal(size=len(sound))
        assert measure([(telephone + noise).astype(np.float32)]).band == 4000
    assert band_message(4000.0) == "hardly any sound above 4.0 kHz"
    assert 5000 <= measure([low_passed(sound, 5500).astype(np.float32)]).band < 7000
    # Speech that is dull, with 40 dB less above 4 kHz, is no telephone's.
    dull = low_passed(sound, 3400) + 10 ** (-40 / 20) * sound
    assert measure([dull.astype(np.float32)]).band == 8000
    # Of an old recording, what is heard above the voice's band is noise.
    noise = 10 ** (-50 / 20) * voice(seed=1)
    assert 5000 <= measure([(low_passed(sound, 5200) + noise).astype(np.float32)]).band <= 5800
    # What is low and muffled has not less than a telephone's band.
    for muffled in (low_passed(sound, 1000), np.sin(np.arange(3 * RATE) / 9)):
        assert measure([muffled.astype(np.float32)]).band == 3000


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_recording_at_16_khz_has_the_whole_band(name):
    """Its own resampling leaves nothing in the last 200 Hz."""
    samples, _ = soundfile.read(narration(name), dtype="float32")
    assert measure([samples]).band == 8000


def test_a_broadcast_of_1961_has_a_dull_voice_up_to_5_khz_and_noise_above(shared):
    samples, rate = soundfile.read(shared / "audio" / "jfk.wav", dtype="float32")
    assert rate == RATE and measure([samples]).band == 5400


def test_a_voice_whose_band_becomes_wider_is_heard_so_and_spoken_of_once(capfd):
    sound, level = voice(30), Level()
    dull = low_passed(sound[: 10 * RATE], 4800).astype(np.float32)
    bands = []
    for block in np.array_split(np.concatenate([dull, sound[10 * RATE :], 20 * dull]), 400):
        level.hear(block)
        bands.append(level.band)
    known = bands.index(min(bands))
    assert (
        4000 < bands[known] < 5600 and bands[-1] == 8000 and bands[known:] == sorted(bands[known:])
    )
    assert capfd.readouterr().err.count("hardly any sound above") == 1


def test_filters_of_a_missing_band_take_the_training_mean_and_the_others_their_own():
    sound = voice()
    telephone = resample_poly(resample_poly(sound, 1, 2, window=("kaiser", 12)), 2, 1)
    telephone = telephone.astype(np.float32)
    level, band, _ = measure([telephone])
    assert level == pytest.approx(measure([sound]).level, abs=0.3)
    wide, small = rows(filtered(sound)), rows(filtered(telephone))
    mean, std = wide.mean(0), wide.std(0)
    wide, mended = normalise(wide, mean, std), normalise(small, mean, std, band)
    missing = (mended == 0).all(0)
    assert missing[30:].all() and not missing[:29].any()
    assert (likeness(wide[:, :29], mended[:, :29]) > 0.98).all()
    assert np.abs((wide - mended).mean(0))[~missing].max() < 0.15
    assert np.abs(normalise(small, mean, std)[:, missing].mean()) > 0.9


def test_a_voice_that_speaks_now_has_the_same_band_seconds_later(capfd):
    """And the same loudness; it is said once."""
    sound = filtered(voice(12))
    narrow_band = sosfilt(butter(12, 3400, fs=RATE, output="sos"), sound).astype(np.float32)
    for samples, band in ((sound, RATE / 2), (narrow_band, 4000)):
        level = Level()
        bands = []
        for block in np.array_split(samples, 120):
            gain = level.hear(block)
            bands.append(level.band)
        whole = measure([samples])
        assert gain == pytest.approx(features.gain_to_loudness(whole.level), rel=1e-5)
        assert bands[-1] == whole.band == band and bands[0] == RATE / 2
    assert capfd.readouterr().err == "the voice has hardly any sound above 4.0 kHz.\n"
