"""Batches for training and measuring: tf.data over indices, a pure function of seed and step.

Example i of a run is item `i mod n` of epoch `i div n`, shuffled by a keyed permutation, so a
run resumed at step k gets batch k at once, and each host reads only its slice of it.
"""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from lumiere_jax.inputs.lectures import Dataset

Fetch = Callable[[np.ndarray], tuple[np.ndarray, ...]]
MEMORY = 2
FOREVER = np.iinfo(np.int64).max
# Seeds near zero permute hardly at all: the cipher wants bits in its key.
KEY = (2654435769, 1013904223, 1779033703)


def _batches(
    fetch: Fetch,
    names: list[str],
    types: list,
    batch: int,
    items: int,
    seed: int,
    first: int,
    last: int,
):
    """The shared pipeline: indices, a fetch in NumPy, names; decoding is mapped on top."""
    import tensorflow as tf

    if items < 1:
        raise ValueError("no items to make batches of")
    host, hosts = jax.process_index(), jax.process_count()
    share = batch // hosts

    def indices(step):
        positions = step * batch + host * share + tf.range(share, dtype=tf.int64)
        epochs = positions // items
        seeds = tf.stack([epochs + KEY[0], epochs * 0 + (seed + KEY[1]), epochs * 0 + KEY[2]], 1)
        # The raw op: the public one takes a single seed for all indices.
        return tf.raw_ops.RandomIndexShuffle(
            index=positions % items, seed=seeds, max_index=np.int64(items - 1), rounds=8
        )

    def load(index):
        arrays = tf.numpy_function(fetch, [index], types)
        return dict(zip(names, arrays, strict=True))

    steps = tf.data.Dataset.range(first, last)
    return steps.map(indices).map(load, num_parallel_calls=2, deterministic=True)


def _decode(names: dict[str, tuple[int, ...]], size: int):
    """Decodes encoded pictures of the given leading shape, (…, size, size, 3) uint8."""
    import tensorflow as tf

    def decode(batch):
        for name, lead in names.items():
            flat = tf.reshape(batch[name], [-1])
            pictures = tf.map_fn(
                lambda data: tf.io.decode_image(data, 3, expand_animations=False),
                flat,
                fn_output_signature=tf.uint8,
            )
            batch[name] = tf.reshape(pictures, [-1, *lead, size, size, 3])
        return batch

    return decode


def _run(dataset) -> Iterator[dict[str, np.ndarray]]:
    import tensorflow as tf

    return dataset.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()


def figure_batches(
    dataset: Dataset, split: str, batch: int, seed: int, first: int = 0, last: int = FOREVER
) -> Iterator[dict[str, np.ndarray]]:
    """Pose figures (batch, size, size, 3) uint8 and keypoints (batch, 137, 3)."""
    source = dataset.records(split)

    def fetch(index):
        records = source.__getitems__(index.tolist())
        return (
            np.array([r["figure"] for r in records], object),
            np.stack([r["keypoints"] for r in records]),
        )

    batches = _batches(
        fetch,
        ["figure", "keypoints"],
        ["string", "float32"],
        batch,
        dataset.frames(split),
        seed,
        first,
        last,
    )
    return _run(batches.map(_decode({"figure": ()}, dataset.size), num_parallel_calls=2))


def triplet_targets(dataset: Dataset, split: str, stride: int) -> np.ndarray:
    """Indices t with two predecessors in their own segment, one of every `stride` frames.

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
) -> Iterator[dict[str, np.ndarray]]:
    """Frames t-2, t-1, t and their figures, (batch, 3, size, size, 3) uint8, and keypoints."""
    source = dataset.records(split)
    targets = triplet_targets(dataset, split, stride)

    def fetch(index):
        times = (targets[index][:, None] + np.arange(-MEMORY, 1)[None]).ravel()
        records = source.__getitems__(times.tolist())
        shape = (len(index), MEMORY + 1)
        return (
            np.array([r["frame"] for r in records], object).reshape(shape),
            np.array([r["figure"] for r in records], object).reshape(shape),
            np.stack([r["keypoints"] for r in records]).reshape(*shape, 137, 3),
        )

    batches = _batches(
        fetch,
        ["frames", "figures", "keypoints"],
        ["string", "string", "float32"],
        batch,
        len(targets),
        seed,
        first,
        last,
    )
    lead = (MEMORY + 1,)
    return _run(
        batches.map(_decode({"frames": lead, "figures": lead}, dataset.size), num_parallel_calls=2)
    )


def window_batches(
    rows: np.ndarray,
    steps: np.ndarray,
    codes: np.ndarray,
    batch: int,
    seed: int,
    first: int = 0,
    last: int = FOREVER,
) -> Iterator[dict[str, np.ndarray]]:
    """Audio windows (batch, width, 40) and the codes (batch, code) of their frames.

    `steps` (frames, width) says which of the feature rows (frames, 40) make a frame's window.
    """

    def fetch(index):
        return rows[steps[index]], codes[index]

    return _run(
        _batches(
            fetch,
            ["features", "codes"],
            ["float32", "float32"],
            batch,
            len(codes),
            seed,
            first,
            last,
        )
    )
