"""Log-mel filterbank energies, one row per video frame (section 3.3, Kim and Ganapathi 2019).

40 mel filters over 44 ms windows, one window per frame. Frame t's window starts at sample
floor(rate · t / fps), computed in integers: a hop rounded once a frame would be 2.25 s off after an
hour. Windows are start-aligned, so a frame hears 44 ms from its own start on.
"""

import functools
from collections.abc import Iterable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.signal import get_window

from lumiere_jax.audio.frame_times import RATE
from lumiere_jax.shapes import AnyArray, Chunk, Features, Waveform

FFT = 1024
WINDOW = 704
FILTERS = 40
PRE_EMPHASIS = 0.97
FLOOR = 1e-8
LOUDNESS = -26.0
CLIP = 4.0
# Blocks of less mean power are silent: -70 dBFS.
SILENT = 10**-7.0

BLOCK = RATE // 10


@functools.cache
def _filters() -> dict[str, np.ndarray]:
    """Loads the tables of `make_filters.py`."""
    with np.load(Path(__file__).with_name("filters.npz")) as file:
        return dict(file)


@functools.cache
def _hann() -> np.ndarray:
    return np.asarray(get_window("hann", WINDOW, fftbins=True), np.float32)


@jax.jit
def log_mel(waveform: Waveform, starts: Int[AnyArray, " time"]) -> Float[jax.Array, "time 40"]:
    """Computes the natural log of the mel energies of windows.

    Args:
      waveform: Begins one sample before sample 0, because pre-emphasis looks one sample back.
      starts: First samples of the windows, counted from sample 0; every window must lie inside.
    """
    emphasised = waveform[1:] - PRE_EMPHASIS * waveform[:-1]
    frames = emphasised[starts[:, None] + jnp.arange(WINDOW)[None, :]]
    power = jnp.abs(jnp.fft.rfft(frames * _hann()[None, :], FFT)) ** 2 / FFT
    # GPUs would compute the product in TensorFloat-32.
    energies = jnp.matmul(power, _filters()["weights"], precision="highest")
    return jnp.log(jnp.maximum(energies, FLOOR))


def loudness(chunks: Iterable[Chunk]) -> float:
    """Measures the RMS level in dBFS of the parts that are not pauses; -inf for silence.

    Leaves out blocks of 100 ms under -70 dBFS, then those 10 dB under the mean of the rest (the
    gates of ITU-R BS.1770). Otherwise pauses would lower the level, and the gain would make the
    voice louder.
    """
    powers: list[float] = []
    rest = np.zeros(0, np.float32)
    for piece in chunks:
        rest = np.concatenate([rest, np.asarray(piece, np.float32)])
        whole = len(rest) // BLOCK * BLOCK
        powers.extend(np.mean(rest[:whole].reshape(-1, BLOCK) ** 2, axis=1).tolist())
        rest = rest[whole:]
    if len(rest):
        powers.append(float(np.mean(rest**2)))
    return gated_level(powers)


def gated_level(powers: Iterable[float]) -> float:
    """Returns the level in dBFS of blocks' mean powers, with the gates of `loudness`."""
    power = np.array([power for power in powers if power > SILENT])
    if not len(power):
        return -np.inf
    power = power[power > np.mean(power) / 10]
    return float(10 * np.log10(np.mean(power)))


def gain_to_loudness(level: float) -> float:
    """Returns the factor that brings a voice of `level` dBFS to -26 dBFS; 1 for silence."""
    return float(10 ** ((LOUDNESS - level) / 20)) if np.isfinite(level) else 1.0


def loudness_gain(chunks: Iterable[Chunk]) -> float:
    """Returns the factor that brings a voice to -26 dBFS; 1 for silence."""
    return gain_to_loudness(loudness(chunks))


def normalise(
    rows: Features, mean: np.ndarray, std: np.ndarray, band: float = RATE / 2
) -> np.ndarray:
    """Computes per-filter z-scores with the training set's statistics, clipped to ±4.

    Without the clip, digital silence would lie far outside of the training data.

    Args:
      rows: Log-mel rows.
      mean: The training set's mean of each filter.
      std: The training set's standard deviation of each filter.
      band: Frequency in Hz up to which the voice is heard; filters that reach above it score 0, the
        training set's mean.
    """
    scores = np.clip((np.asarray(rows) - mean) / std, -CLIP, CLIP).astype(np.float32)
    return np.where(filter_tops() <= band, scores, np.float32(0))


def filter_tops() -> np.ndarray:
    """Returns the frequency in Hz at which each filter ends."""
    return _filters()["tops"]
