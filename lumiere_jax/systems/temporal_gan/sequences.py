"""Batches of sequences: frames with the waveform that belongs to each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lumiere_jax.audio.encoders import WINDOW
from lumiere_jax.audio.front_ends import waveform
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.batches.example_order import FOREVER, shuffled
from lumiere_jax.inputs.batches.record_reader import host_tensorflow, reader, with_user_errors
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.segments import Segment

# Knuth's multiplier: products of neighbouring indices lie far apart.
SPREAD = 2654435761


@dataclass(frozen=True)
class Sequence:
    """Neighbouring frames of a segment; `first` counts from the segment's start."""

    segment: Segment
    first: int
    frames: int


def sequences(dataset: Dataset, split: str, frames: int) -> list[Sequence]:
    """Cuts a split's segments every `frames`; the last of each has at least two frames."""
    return [
        Sequence(segment, first, count)
        for segment in dataset.segments
        if segment.split == split
        for first in range(0, segment.frames, frames)
        if (count := min(frames, segment.frames - first)) > 1
    ]


def epoch_items(dataset: Dataset, split: str, frames: int, mirror: bool) -> int:
    """Returns the number of sequences in an epoch, mirrored copies included."""
    return len(sequences(dataset, split, frames)) * (2 if mirror else 1)


def sequence_batches(
    dataset: Dataset,
    split: str,
    frames: int,
    batch: int,
    seed: int,
    mirror: bool = False,
    first: int = 0,
    last: int = FOREVER,
    part: tuple[int, int] = (0, 1),
) -> Iterator[dict[str, np.ndarray]]:
    """Yields batches of sequences, with their sound and a still of the same segment.

    Args:
      frames: Length of a sequence; a shorter one's last frame is repeated.
      mirror: Adds each sequence a second time, left and right exchanged.

    Yields:
      `frames` (batch, frames, rows, cols, 3) uint8, their `lengths` (batch,), `windows` of waveform
      (batch, frames, 2560), and a `still` (batch, rows, cols, 3) of the segment. Which frame is the
      still depends on the sequence alone.
    """
    tf, records = host_tensorflow(), dataset.records(split)
    load = reader(records, dataset, ("frame",))
    every = sequences(dataset, split, frames)

    def heard(index):
        try:
            return _lookup(dataset, [every[i % len(every)] for i in index], index, frames)
        except UserError as error:
            # Stored, because TensorFlow loses the exception.
            records.failure = error
            raise

    def load_sequences(index):
        kinds = [tf.int64, tf.int64, tf.int64, tf.float32]
        lengths, ends, stills, windows = tf.numpy_function(heard, [index], kinds)
        lengths, ends, stills = (
            tf.ensure_shape(x, [batch // part[1]]) for x in (lengths, ends, stills)
        )
        times = ends[:, None] - lengths[:, None] + 1 + tf.range(frames, dtype=tf.int64)[None]
        times = tf.concat([tf.minimum(times, ends[:, None]), stills[:, None]], 1)
        pictures = load(tf.reshape(times, [-1]))["frame"]
        pictures = tf.reshape(pictures, [-1, frames + 1, *dataset.shape, 3])
        turned = tf.reshape(index >= len(every), [-1, 1, 1, 1, 1])
        pictures = tf.where(turned, tf.reverse(pictures, [3]), pictures)
        return {
            "frames": pictures[:, :-1],
            "still": pictures[:, -1],
            "windows": windows,
            "lengths": tf.cast(lengths, tf.int32),
            "index": tf.cast(ends, tf.int32),
        }

    items = epoch_items(dataset, split, frames, mirror)
    return with_user_errors(
        shuffled(load_sequences, batch, items, seed, first, last, part), records
    )


def _lookup(
    dataset: Dataset, chosen: list[Sequence], index: np.ndarray, frames: int
) -> tuple[np.ndarray, ...]:
    """Returns lengths, last frames, stills and windows of sequences."""
    lengths = [own.frames for own in chosen]
    ends = [own.segment.offset + own.first + own.frames - 1 for own in chosen]
    stills = [
        own.segment.offset + i * SPREAD % own.segment.frames
        for own, i in zip(chosen, index.tolist(), strict=True)
    ]
    windows = np.stack([_heard_windows(dataset, own, frames) for own in chosen])
    return *(np.array(x, np.int64) for x in (lengths, ends, stills)), windows


def _heard_windows(dataset: Dataset, own: Sequence, frames: int) -> np.ndarray:
    """Returns the windows (frames, 2560) of a sequence's frames, zeros past its end.

    Those at either end also cover samples of the segment just outside of the sequence. All are
    scaled to the segment's loudness.
    """
    front_end = waveform(dataset.fps)
    times = range(own.first, own.first + own.frames)
    starts = np.array([front_end.start(t) for t in times])
    first, last = int(starts[0]) - front_end.before, int(starts[-1]) + front_end.after
    samples = dataset.samples(own.segment, first, last)
    windows = np.zeros((frames, WINDOW), np.float32)
    windows[: own.frames] = front_end.apply(samples, starts - starts[0])
    return windows * np.float32(dataset.gain(own.segment))
