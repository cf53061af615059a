"""Sound that comes in pieces, as a listener hears it."""

import numpy as np


def voice(samples, seed=0):
    """Noise that swells and fades, at most 1."""
    noise = np.random.default_rng(seed).standard_normal(samples) / 8
    return np.clip(noise * np.sin(np.arange(samples) / 3000), -1, 1).astype(np.float32)


def cut(samples, seed=0):
    """Blocks of any length, each a second later than the last on a clock of its own."""
    lengths = np.random.default_rng(seed).integers(1, 1500, 1 + len(samples) // 100)
    blocks = np.split(samples, np.unique(np.minimum(np.cumsum(lengths), len(samples))))
    return [(float(i), block) for i, block in enumerate(blocks) if len(block)]
