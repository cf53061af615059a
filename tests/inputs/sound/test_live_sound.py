import os
import threading
import time

import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.sound.live_sound import Ear, listen, read_device, read_raw


def test_raw_sound_comes_whole_however_it_is_cut():
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, 999).astype("<i2")
    reading, writing = os.pipe()
    heard = []
    reader = threading.Thread(target=lambda: heard.extend(read_raw(reading)))
    reader.start()
    data = samples.tobytes()
    for first in range(0, len(data), 7):  # in the middle of samples, too
        os.write(writing, data[first : first + 7])
        time.sleep(0.0005)
    os.close(writing)
    reader.join(10)
    np.testing.assert_array_equal(np.concatenate(heard), samples.astype(np.float32) / 2**15)
    assert len(heard) > 1


def test_sound_before_the_ear_is_open_is_left_out_and_counted():
    ear = Ear()

    def source():
        yield np.zeros(100, np.float32)
        yield np.zeros(23, np.float32)
        ear.open.set()
        yield np.ones(5, np.float32)

    before = time.monotonic()
    ear.listen(source())
    ((arrived, samples),) = ear.heard()
    assert before <= arrived <= time.monotonic() and (samples == 1).all()
    assert ear.missed == 123


def test_a_sound_is_stamped_when_it_comes_not_when_it_is_taken():
    ear = Ear()
    ear.open.set()

    def source():
        for _ in range(3):
            time.sleep(0.03)
            yield np.zeros(1, np.float32)

    listening = threading.Thread(target=ear.listen, args=(source(),))
    listening.start()
    listening.join(10)
    stamps = [arrived for arrived, _ in ear.heard()]
    assert (np.diff(stamps) >= 0.02).all()


def test_stopping_ends_the_sound_and_a_failure_of_listening_is_raised():
    ear = Ear()
    ear.stop()
    assert not list(ear.heard())

    def source():
        raise OSError("unplugged")
        yield

    ear = Ear()
    ear.listen(source())
    with pytest.raises(OSError, match="unplugged"):
        list(ear.heard())


def test_a_device_gives_mono_at_16_khz():
    """FFmpeg's device for tests stands for those that this machine may not have."""
    samples = np.concatenate(list(read_device("lavfi", "sine=frequency=440:duration=1")))
    assert samples.dtype == np.float32 and abs(len(samples) - 16_000) < 40
    spectrum = np.abs(np.fft.rfft(samples, 16_000))
    assert spectrum.argmax() == 440


@pytest.mark.parametrize(
    "audio, message",
    [
        ("narration.wav", "--live hears - .standard input. or a device such as alsa:default"),
        ("alsa:no such card", "alsa:no such card: the device cannot be opened"),
        ("sndio:default", "the device cannot be opened .*; pipe its sound"),
    ],
)
def test_what_cannot_be_heard(audio, message):
    with pytest.raises(UserError, match=message):
        listen(audio)
