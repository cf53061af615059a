"""LumièreNet's audio features: normalised log-mel rows, one per frame (section 3.3)."""

import numpy as np

from lumiere_jax.audio.features import normalise
from lumiere_jax.audio.front_ends import log_mel
from lumiere_jax.inputs.dataset.description import Description
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.segments import Segment


def segment_features(dataset: Dataset, segment: Segment, statistics: Description) -> np.ndarray:
    """Computes a segment's features (frames, 40), normalised with given statistics."""
    rows = dataset.heard(log_mel(dataset.fps), segment)
    return normalise(rows, statistics.mean, statistics.std)


def split_features(dataset: Dataset, split: str) -> np.ndarray:
    """Computes a split's features (frames, 40), normalised with the dataset's statistics."""
    return normalise(dataset.rows(log_mel(dataset.fps), split), dataset.mean, dataset.std)
