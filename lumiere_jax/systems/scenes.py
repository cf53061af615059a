"""The seconds of the validation split that a training's clips show."""

from typing import Any

from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.segments import Segment

SECONDS = 5
# Pictures of a clip that are made at once.
BATCH = 8


def longest_segment(dataset: Dataset, split: str) -> tuple[Segment, int, list[dict[str, Any]]]:
    """Finds a split's longest segment.

    Returns:
      The segment, the number of frames in its first seconds, and the records of these frames.
    """
    segment = max((s for s in dataset.segments if s.split == split), key=lambda s: s.frames)
    count = min(segment.frames, round(SECONDS * dataset.fps))
    source = dataset.records(split)
    return segment, count, [source[segment.offset + i] for i in range(count)]
