"""Reading records with tf.data: in parallel, and in order."""

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


@functools.cache
def host_tensorflow() -> Any:
    """Returns TensorFlow on the CPU alone: it would take an accelerator's memory from JAX."""
    import tensorflow as tf

    for kind in ("GPU", "TPU"):
        tf.config.set_visible_devices([], kind)
    return tf


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
        loaded(tf.data.Dataset.range(dataset.frames(split)).batch(chunk), load), records
    )


def loaded(indices: Any, load: Load) -> Iterator[dict[str, np.ndarray]]:
    """Runs `load` in parallel, on as many cores as tf.data chooses, and yields in order."""
    tf = host_tensorflow()
    batches = indices.map(as_it_is(load), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()


def as_it_is(function: Callable) -> Callable:
    """Exempts a function from AutoGraph's rewriting: none of ours branches on tensors."""
    return host_tensorflow().autograph.experimental.do_not_convert(function)


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
