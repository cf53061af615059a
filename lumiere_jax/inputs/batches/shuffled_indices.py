"""Batches of indices into data in memory, without TensorFlow: a function of seed and step."""

import functools
import itertools
from collections.abc import Iterator

import numpy as np


def shuffled_indices(
    items: np.ndarray, batch: int, seed: int, first: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the `index` (batch,) int32 of each step's items, from step `first` on, without end.

    Example i of a run is item `i mod n` of epoch `i div n`, and each epoch has its own permutation.
    The order differs from that of `pipeline.index_batches`, which TensorFlow draws.
    """

    @functools.lru_cache(2)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, epoch)).permutation(items).astype(np.int32)

    for step in itertools.count(first):
        places = (divmod(i, len(items)) for i in range(step * batch, (step + 1) * batch))
        yield {"index": np.array([order(epoch)[i] for epoch, i in places], np.int32)}
