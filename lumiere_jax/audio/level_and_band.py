"""The sound of a recording: a high-pass filter for speech, the level, and the band."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.signal import butter, sosfilt, sosfilt_zi

from lumiere_jax.audio.features import BLOCK, FFT, SILENT, WINDOW, gain_to_loudness, gated_level
from lumiere_jax.audio.frame_times import RATE
from lumiere_jax.shapes import Chunk

# Hz. No voice goes lower; a constant, wind and steps do, and would count as loudness.
LOWEST = 40
# dB. A band of less mean power density, relative to that of 300 to 3400 Hz, has only noise.
# Speech has -42 or more in each band that was recorded, also where old radio made it dull.
NOISE = -50
SPEECH, TELEPHONE, STEP = (300, 3400), 4000, 200
# Hz between which a telephone's band ends, depending on how it was filtered and resampled.
TELEPHONES = 3400, 4600
# Hz between which narrow bands end: no telephone's ends lower, and from WHOLE on nothing is missed.
NARROWEST, WHOLE = 3000, 7000
# Blocks. Live, a voice's loudness is that of its last minute, and its band is known after five
# seconds.
MINUTE, KNOWN = 60 * RATE // BLOCK, 5 * RATE // BLOCK

Heard = tuple[float, np.ndarray]
"""Arrival of a block of sound by `time.monotonic`, and its samples: mono, 16 kHz, [-1, 1]."""


class HighPass:
    """High-pass filter that removes frequencies below speech from mono sound of 16 kHz in pieces.

    Where the sound is cut changes nothing, and nothing is delayed. A constant makes no click at the
    start: the filter waits for the first window and starts from its mean.
    """

    def __init__(self):
        self.filter = butter(4, LOWEST, "highpass", fs=RATE, output="sos")
        self.state: np.ndarray | None = None
        self.held = np.zeros(0, np.float32)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Returns the samples that are ready: none before the first window is complete."""
        self.held = np.concatenate([self.held, np.asarray(samples, np.float32)])
        if self.state is None and len(self.held) < WINDOW:
            return self.held[:0]
        return self.rest()

    def rest(self) -> np.ndarray:
        """Returns the samples that are still held, where a sound is shorter than a window."""
        samples, self.held = self.held, self.held[:0]
        if not len(samples):
            return samples
        if self.state is None:
            self.state = sosfilt_zi(self.filter) * samples[:WINDOW].mean(dtype=np.float64)
        samples, self.state = sosfilt(self.filter, samples, zi=self.state)
        return samples.astype(np.float32)


def above_rumble(chunks: Iterable[Chunk]) -> Iterator[np.ndarray]:
    """Removes frequencies below speech from mono sound of 16 kHz; yields as many samples."""
    return (samples for _, samples in high_passed((0.0, chunk) for chunk in chunks))


def high_passed(blocks: Iterable[tuple[float, Chunk]]) -> Iterator[tuple[float, np.ndarray]]:
    """Filters blocks with their times as `above_rumble`; yields the first window as a whole."""
    high_pass, time = HighPass(), 0.0
    for time, samples in blocks:
        if len(ready := high_pass(samples)):
            yield time, ready
    if len(last := high_pass.rest()):
        yield time, last


class Hearing(NamedTuple):
    """Level, band and audible seconds of a voice.

    Attributes:
      level: Level in dBFS, as `loudness` measures it.
      band: Frequency in Hz up to which the voice is heard over the noise; 8000 in all but
        recordings of a narrow band.
      seconds: Seconds that are not silent.
    """

    level: float
    band: float
    seconds: float


def measure(chunks: Iterable[Chunk]) -> Hearing:
    """Measures level, band and audible seconds of mono sound of 16 kHz, in one pass."""
    powers: list[float] = []
    rest, spectrum = np.zeros(0, np.float32), Spectrum()
    for chunk in chunks:
        rest = np.concatenate([rest, np.asarray(chunk, np.float32)])
        whole = len(rest) // BLOCK * BLOCK
        powers.extend(spectrum.hear(rest[:whole].reshape(-1, BLOCK)))
        rest = rest[whole:]
    if len(rest):
        powers.append(float(np.mean(rest**2)))
    heard = sum(power > SILENT for power in powers) * BLOCK / RATE
    return Hearing(gated_level(powers), spectrum.top, heard)


class Spectrum:
    """Power of a voice by frequency, from the sound so far."""

    def __init__(self):
        self.density = np.zeros(FFT // 2 + 1)
        self.blocks = 0

    def hear(self, blocks: np.ndarray) -> list[float]:
        """Adds blocks (blocks, samples) of `BLOCK` samples; returns the mean power of each."""
        power = np.mean(blocks**2, axis=1)
        loud = blocks[power > SILENT, :FFT]
        self.blocks += len(loud)
        self.density += np.sum(np.abs(np.fft.rfft(loud * np.hanning(FFT))) ** 2, axis=0)
        return power.tolist()

    @property
    def top(self) -> float:
        """The frequency in Hz up to which the voice is heard over the noise."""
        frequencies = np.arange(len(self.density)) * RATE / FFT
        voice = self.density[(frequencies >= SPEECH[0]) & (frequencies < SPEECH[1])].mean()
        if not voice > 0:
            return RATE / 2
        bands = np.arange(0, RATE // 2, STEP)
        inside = [(frequencies >= low) & (frequencies < low + STEP) for low in bands]
        means = np.array([self.density[band].mean() for band in inside])
        levels = 10 * np.log10(np.maximum(means / voice, 1e-30))
        top = float(bands[levels >= NOISE].max() + STEP)
        if top >= WHOLE:
            return RATE / 2
        if TELEPHONES[0] < top <= TELEPHONES[1]:
            return float(TELEPHONE)
        return max(top, float(NARROWEST))


@dataclass
class Level:
    """Gain to -26 dBFS and band of a live voice, from the sound so far.

    The whole narration is never there.
    """

    powers: deque[float] = field(default_factory=lambda: deque(maxlen=MINUTE))
    rest: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    gain: float = 1.0
    spectrum: Spectrum = field(default_factory=Spectrum)
    band: float = RATE / 2

    def hear(self, samples: np.ndarray) -> float:
        """Adds samples and returns the gain; blocks and gates are those of `loudness`."""
        self.rest = np.concatenate([self.rest, samples])
        whole = len(self.rest) // BLOCK * BLOCK
        if whole:
            blocks, known = self.rest[:whole].reshape(-1, BLOCK), self.spectrum.blocks >= KNOWN
            self.powers.extend(self.spectrum.hear(blocks))
            self.rest = self.rest[whole:]
            if known:  # listeners would notice a band that changes at every word
                self.band = max(self.band, self.spectrum.top)
            elif self.spectrum.blocks >= KNOWN:
                self.band = self.spectrum.top
                if lacking := band_message(self.band):
                    print(f"the voice has {lacking}.", file=sys.stderr, flush=True)
            self.gain = gain_to_loudness(gated_level(self.powers))
        return self.gain


def band_message(band: float) -> str | None:
    """Says that a narrow band has hardly any sound above `band` Hz; None for other bands."""
    return f"hardly any sound above {band / 1000:.1f} kHz" if band < WHOLE else None
