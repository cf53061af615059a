"""Batches for training and measuring: tf.data over indices, a pure function of seed and step.

Example i of a run is item `i mod n` of epoch `i div n`, shuffled by a keyed permutation, so a
run resumed at step k gets batch k at once. `part` (i, n) reads only the i-th of n equal slices of
every batch, as each of n hosts does.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.columns import Column
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.records import Records

Load = Callable[[Any], dict[str, Any]]
"""A TensorFlow function from items' indices to a batch's arrays, by name. Among these is `index`:
the frame of the split that each item is, or ends with."""

FOREVER = np.iinfo(np.int64).max
# Seeds near zero permute hardly at all: the cipher needs bits in its key.
KEY = (2654435769, 1013904223, 1779033703)


@functools.cache
def host_tensorflow() -> Any:
    """Returns TensorFlow on the CPU alone: it would take an accelerator's memory from JAX."""
    import tensorflow as tf

    for kind in ("GPU", "TPU"):
        tf.config.set_visible_devices([], kind)
    return tf


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

    return _run(tf.data.Dataset.range(first, last).map(_as_it_is(indices)), load)


def _as_it_is(function: Callable) -> Callable:
    """Exempts a function from AutoGraph's rewriting: none of ours branches on tensors."""
    return host_tensorflow().autograph.experimental.do_not_convert(function)


def _run(indices: Any, load: Load) -> Iterator[dict[str, np.ndarray]]:
    """Runs `load` in parallel, on as many cores as tf.data chooses, and yields in order."""
    tf = host_tensorflow()
    batches = indices.map(_as_it_is(load), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()


def with_user_errors(
    batches: Iterator[dict[str, np.ndarray]], records: Records
) -> Iterator[dict[str, np.ndarray]]:
    """Re-raises TensorFlow's read errors as UserError."""
    try:
        yield from batches
    except host_tensorflow().errors.OpError as error:
        raise records.failure or UserError(
            f"{records.name}: a record holds no example of this project "
            f"({' '.join(error.message.split())[:80]}): make the dataset anew with prepare.py."
        ) from error


def reader(records: Records, dataset: Dataset, names: Sequence[str]) -> Load:
    """Returns a function that reads the columns of these names.

    It returns pictures (n, rows, cols, 3) uint8 and numbers (n, *shape).

    Python passes on bytes alone. TensorFlow parses and decodes them outside the GIL.
    """
    tf, shape = host_tensorflow(), dataset.shape
    columns = [dataset.column(name) for name in names]
    features = {column.name: _feature(column) for column in columns}

    def fetch(index):
        # One by one: the source starts threads for every call that reads several.
        return np.array([records.encoded(i) for i in index.tolist()], object)

    def decode(data):
        picture = tf.io.decode_image(data, 3, expand_animations=False)
        return tf.ensure_shape(picture, [*shape, 3])

    def load(index):
        encoded = tf.ensure_shape(tf.numpy_function(fetch, [index], tf.string), index.shape)
        examples = tf.io.parse_example(encoded, features)
        for column in columns:
            if column.is_picture:
                # Batches are decoded in parallel, so pictures need not be.
                examples[column.name] = tf.map_fn(
                    decode,
                    examples[column.name],
                    parallel_iterations=1,
                    fn_output_signature=tf.uint8,
                )
            else:
                examples[column.name] = tf.cast(examples[column.name], column.dtype)
        return {**examples, "index": tf.cast(index, tf.int32)}

    return load


def _feature(column: Column) -> Any:
    """Returns TensorFlow's description of a column in a record, where integers have 64 bits."""
    tf = host_tensorflow()
    if column.is_picture:
        return tf.io.FixedLenFeature([], tf.string)
    kind = tf.float32 if np.issubdtype(column.dtype, np.floating) else tf.int64
    return tf.io.FixedLenFeature(column.shape, kind)


def in_order(
    dataset: Dataset, split: str, names: Sequence[str], chunk: int = 16
) -> Iterator[dict[str, np.ndarray]]:
    """Yields a split's columns of these names once, in order, up to `chunk` examples at a time."""
    tf, records = host_tensorflow(), dataset.records(split)
    load = reader(records, dataset, names)
    return with_user_errors(
        _run(tf.data.Dataset.range(dataset.frames(split)).batch(chunk), load), records
    )


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
