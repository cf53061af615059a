"""Makes `filters.npz`, the mel filters of `features.py`, with librosa.

  python -m lumiere_jax.audio.make_filters

Log-mel rows need only two small tables, and librosa takes two seconds to import.
"""

from pathlib import Path

import librosa
import numpy as np

from lumiere_jax.audio.features import FFT, FILTERS
from lumiere_jax.audio.frame_times import RATE

FILE = Path(__file__).with_name("filters.npz")


def make_filters() -> dict[str, np.ndarray]:
    """Makes the tables: triangles of height 1 on HTK's mel scale, from 0 to 8 kHz.

    Returns:
      `weights` (FFT bins, filters), and `tops`, the frequency in Hz at which each filter ends.
    """
    weights = librosa.filters.mel(
        sr=RATE, n_fft=FFT, n_mels=FILTERS, fmin=0, fmax=RATE / 2, htk=True, norm=None
    )
    edges = librosa.mel_frequencies(FILTERS + 2, fmin=0, fmax=RATE / 2, htk=True)
    return {"weights": weights.T.astype(np.float32), "tops": np.floor(edges[2:])}


if __name__ == "__main__":
    tables = make_filters()
    np.savez_compressed(FILE, weights=tables["weights"], tops=tables["tops"])
