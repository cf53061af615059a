"""Resemblance of a sound track to speech, and channel weights that do not cancel a voice."""

import numpy as np
from scipy.signal import butter, sosfilt, sosfilt_zi

from lumiere_jax.audio.features import SILENT

# Hz: the band with most of a voice's power, and the rates at which syllables modulate it.
BAND, SYLLABLES = (300, 3400), (2, 8)
# Power is measured in BLOCKS a second, and its modulation over STRETCH blocks.
BLOCKS, STRETCH = 100, 400
# Modulation from here on counts as speech.
LIKE = 0.4
# Channels are inverted where their correlation with the strongest is below this.
OPPOSED = -0.1


class Voice:
    """Running measure of a track's power and modulation in the band of speech.

    Results do not depend on how samples are cut into pieces, and memory does not grow.
    """

    def __init__(self, rate: int, channels: int):
        top = min(BAND[1], 0.45 * rate)
        band = (min(BAND[0], top / 4), top)
        self.filter = butter(2, band, "bandpass", fs=rate, output="sos")
        self.state: np.ndarray | None = None
        self.together = np.zeros((channels, channels))
        self.block = max(rate // BLOCKS, 1)
        self.rest = np.zeros(0)
        self.weight = self.rises = self.power = 0.0

    def hear(self, samples: np.ndarray) -> None:
        """Adds samples (samples, channels)."""
        if not len(samples):
            return
        if self.state is None:  # a constant offset is no sound
            self.state = sosfilt_zi(self.filter)[:, :, None] * samples[0].astype(float)
        band, self.state = sosfilt(self.filter, samples, axis=0, zi=self.state)
        self.together += band.T @ band
        self.rest = np.concatenate([self.rest, np.mean(band**2, axis=1)])
        length = self.block * STRETCH
        while len(self.rest) >= length:
            self._measure(self.rest[:length])
            self.rest = self.rest[length:]

    def _measure(self, powers: np.ndarray) -> None:
        blocks = powers[: len(powers) // self.block * self.block].reshape(-1, self.block).mean(1)
        if not len(blocks) or blocks.mean() < SILENT:
            return
        self.power = max(self.power, float(blocks.mean()))
        levels = np.sqrt(blocks)
        window = np.hanning(len(levels))
        spectrum = np.abs(np.fft.rfft(window * (levels - levels.mean()))) ** 2
        rates = np.fft.rfftfreq(len(levels), 1 / BLOCKS)
        syllables = spectrum[(rates >= SYLLABLES[0]) & (rates <= SYLLABLES[1])]
        if not len(syllables):
            return
        # A quartile, not the sum: a beat has all of its power in a few spectral lines.
        self.rises += float(np.percentile(syllables, 25)) / levels.mean() / window.sum()
        self.weight += levels.mean()

    @property
    def speech(self) -> float:
        """Modulation of the level at syllable rates: `LIKE` for speech, up to 0.1 for a beat,
        under 0.02 for steady sound, 0 for silence."""
        if not self.weight:
            self._measure(self.rest)
        return min(self.rises / self.weight, LIKE) if self.weight else 0.0

    @property
    def mix(self) -> tuple[float, ...]:
        """Channel weights whose sum does not cancel a voice; empty where the mean is safe."""
        powers = np.diag(self.together)
        # The first of the channels about as strong keeps its polarity.
        strongest = int(np.argmax(powers >= powers.max() / 2))
        likeness = self.together[strongest] / np.sqrt(np.maximum(powers * powers[strongest], 1e-30))
        if not (likeness < OPPOSED).any():
            return ()
        return tuple((np.where(likeness < OPPOSED, -1.0, 1.0) / len(powers)).tolist())
