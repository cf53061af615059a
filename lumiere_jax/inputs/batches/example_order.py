"""The order of a training's examples: a pure function of seed and step.

Example i of a run is item `i mod n` of epoch `i div n`, shuffled by a keyed permutation, so a
run resumed at step k gets batch k at once. `part` (i, n) reads only the i-th of n equal slices of
every batch, as each of n hosts does.
"""

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from lumiere_jax.inputs.batches.record_reader import Load, as_it_is, host_tensorflow, loaded

FOREVER = np.iinfo(np.int64).max
# Seeds near zero permute hardly at all: the cipher needs bits in its key.
KEY = (2654435769, 1013904223, 1779033703)


def shuffled(
    load: Load,
    batch: int,
    items: int,
    seed: int,
    first: int,
    last: int,
    part: tuple[int, int],
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the batches that `load` makes of each step's shuffled indices.

    Args:
      batch: Size of a whole batch, all parts together.
      items: Number of items of an epoch.
      first: First step; `last` is the one after the last.
      part: (i, n) for the i-th of n equal slices of every batch.
    """
    tf = host_tensorflow()
    if items < 1:
        raise ValueError("no items to make batches of")
    own, parts = part
    share = batch // parts

    def indices(step):
        positions = step * batch + own * share + tf.range(share, dtype=tf.int64)
        epochs = positions // items
        seeds = tf.stack([epochs + KEY[0], epochs * 0 + (seed + KEY[1]), epochs * 0 + KEY[2]], 1)
        # The raw op: the public one takes a single seed for all indices.
        return tf.raw_ops.RandomIndexShuffle(
            index=positions % items, seed=seeds, max_index=np.int64(items - 1), rounds=8
        )

    return loaded(tf.data.Dataset.range(first, last).map(as_it_is(indices)), load)


def index_batches(
    frames: np.ndarray,
    batch: int,
    seed: int,
    first: int = 0,
    last: int = FOREVER,
    part: tuple[int, int] = (0, 1),
) -> Iterator[dict[str, np.ndarray]]:
    """Yields batches that are indices alone: `index` (batch,) int32, out of `frames`."""
    tf = host_tensorflow()
    load = lambda i: {"index": tf.cast(tf.gather(frames, i), tf.int32)}  # noqa: E731
    return shuffled(load, batch, len(frames), seed, first, last, part)


def shuffled_indices(
    items: np.ndarray, batch: int, seed: int, first: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the `index` (batch,) int32 of each step's items, without TensorFlow and without end.

    Example i of a run is item `i mod n` of epoch `i div n`, and each epoch has its own permutation.
    The order differs from that of `index_batches`, which TensorFlow draws.
    """

    @functools.lru_cache(2)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, epoch)).permutation(items).astype(np.int32)

    for step in itertools.count(first):
        places = (divmod(i, len(items)) for i in range(step * batch, (step + 1) * batch))
        yield {"index": np.array([order(epoch)[i] for epoch, i in places], np.int32)}
