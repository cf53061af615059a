"""Batches of LumièreNet's stages: figures, windows of sound with codes, and triplets of frames."""

from collections.abc import Iterator

import numpy as np

from lumiere_jax.inputs.batches import example_order, record_reader
from lumiere_jax.inputs.batches.example_order import FOREVER
from lumiere_jax.inputs.dataset.lectures import Dataset

# Frames before the last one of a triplet.
MEMORY = 2


def figure_batches(
    dataset: Dataset,
    split: str,
    batch: int,
    seed: int,
    first: int = 0,
    last: int = FOREVER,
    part: tuple[int, int] = (0, 1),
) -> Iterator[dict[str, np.ndarray]]:
    """Yields pose figures (batch, size, size, 3) uint8 and keypoints (batch, 137, 3)."""
    records = dataset.records(split)
    load = record_reader.reader(records, dataset, ("figure", "keypoints"))
    chosen = example_order.shuffled(load, batch, len(records), seed, first, last, part)
    return record_reader.with_user_errors(chosen, records)


def triplet_targets(dataset: Dataset, split: str, stride: int) -> np.ndarray:
    """Returns indices t with two predecessors in their own segment, one of every `stride` frames.

    The predecessors are t-2 and t-1 at the native rate: P learns the motion between
    neighbouring frames.
    """
    targets = [
        np.arange(s.offset + MEMORY, s.offset + s.frames, stride)
        for s in dataset.segments
        if s.split == split
    ]
    return np.concatenate(targets) if targets else np.zeros(0, np.int64)


def triplet_batches(
    dataset: Dataset,
    split: str,
    batch: int,
    seed: int,
    stride: int = 30,
    first: int = 0,
    last: int = FOREVER,
    part: tuple[int, int] = (0, 1),
) -> Iterator[dict[str, np.ndarray]]:
    """Yields frames t-2 to t and their figures, (batch, 3, size, size, 3) uint8, and keypoints."""
    tf, records = record_reader.host_tensorflow(), dataset.records(split)
    load = record_reader.reader(records, dataset, ("frame", "figure", "keypoints"))
    targets = triplet_targets(dataset, split, stride)

    def triplets(index):
        ends = tf.gather(targets, index)
        times = ends[:, None] + tf.range(-MEMORY, 1, dtype=tf.int64)[None]
        examples = load(tf.reshape(times, [-1]))
        names = {"frames": "frame", "figures": "figure", "keypoints": "keypoints"}
        own = {
            name: tf.reshape(examples[own], [-1, MEMORY + 1, *examples[own].shape[1:]])
            for name, own in names.items()
        }
        return {**own, "index": tf.cast(ends, tf.int32)}

    return record_reader.with_user_errors(
        example_order.shuffled(triplets, batch, len(targets), seed, first, last, part), records
    )


def window_batches(
    rows: np.ndarray,
    steps: np.ndarray,
    codes: np.ndarray,
    batch: int,
    seed: int,
    first: int = 0,
    last: int = FOREVER,
    part: tuple[int, int] = (0, 1),
) -> Iterator[dict[str, np.ndarray]]:
    """Yields audio windows (batch, width, 40) and the codes (batch, code) of their frames.

    Args:
      rows: Feature rows (frames, 40).
      steps: Indices (frames, width) of the rows in each frame's window.
      codes: Codes (frames, code).
    """

    tf = record_reader.host_tensorflow()

    def fetch(index):
        return rows[steps[index]], codes[index]

    def load(index):
        features, targets = tf.numpy_function(fetch, [index], [tf.float32, tf.float32])
        return {"features": features, "codes": targets, "index": tf.cast(index, tf.int32)}

    return example_order.shuffled(load, batch, len(codes), seed, first, last, part)
