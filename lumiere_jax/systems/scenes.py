"""The seconds of the validation split that a training shows."""

from typing import Any

from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.segments import Segment

SECONDS = 5
# Pictures that are made at once for them.
BATCH = 8


def longest_segment(dataset: Dataset, split: str) -> tuple[Segment, int, list[dict[str, Any]]]:
    """A split's longest segment, how many of its frames are its first seconds, and their
    records."""
    segment = max((s for s in dataset.segments if s.split == split), key=lambda s: s.frames)
    count = min(segment.frames, round(SECONDS * dataset.fps))
    source = dataset.records(split)
    return segment, count, [source[segment.offset + i] for i in range(count)]
