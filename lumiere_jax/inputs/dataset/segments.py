"""Cutting of clips into segments for training, validation and test."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "val", "test")
SHARES = (75, 5, 20)
# Frames in a row that training needs.
TRIPLET = 3

Stretch = tuple[int, int]
"""The first frame, and the one after the last."""
Kept = Mapping[str, Sequence[Stretch]]
"""The stretches of each clip that stay, by the clips' names."""


@dataclass(frozen=True)
class Segment:
    """Neighbouring frames of one clip in one split; nothing looks across its ends.

    `first` counts in the clip, `offset` in the split; `speaker` comes from a table of clips.
    `part` numbers further segments of the same clip and split, from 1 on.
    """

    split: str
    clip: str
    first: int
    frames: int
    offset: int
    speaker: str | None = None
    part: int | None = None

    @property
    def sound(self) -> str:
        """Path of the segment's sound inside the dataset."""
        name = f"{self.split}-{self.clip}"
        # Paths differ whatever the clips' names: the last number is always the part's.
        return f"audio/{name}.flac" if self.part is None else f"audio/parts/{name}-{self.part}.flac"


def segments_of(clips: dict[str, int], kept: Kept | None = None) -> list[Segment]:
    """Cuts clips into splits.

    Up to nine clips are each cut 75/5/20% by time, in that order, where left-out frames do not
    count. More clips are dealt out whole in the same shares.

    Args:
      clips: Numbers of frames, by clip name.
      kept: Stretches that stay; by default all of each clip.
    """
    parts: dict[str, list[tuple[str, int, int]]] = {split: [] for split in SPLITS}
    stay = _staying(clips, kept)
    if len(stay) < 10:
        for name, stretches in stay.items():
            for split, pieces in zip(SPLITS, _shared(stretches), strict=True):
                parts[split] += [(name, first, stop - first) for first, stop in pieces]
    else:
        names = list(stay)
        validation = max(1, len(names) * SHARES[1] // 100)
        test = max(1, len(names) * SHARES[2] // 100)
        for i, name in enumerate(names):
            left = len(names) - i
            split = "test" if left <= test else "val" if left <= test + validation else "train"
            parts[split] += [(name, first, stop - first) for first, stop in stay[name]]
    return place_segments(parts)


def segments_by_split(
    clips: dict[str, int],
    splits: Mapping[str, str],
    speakers: Mapping[str, str],
    kept: Kept | None = None,
) -> list[Segment]:
    """Makes segments of whole clips, with the splits and speakers of a table of clips.

    Args:
      clips: Numbers of frames, by clip name.
      splits: Splits by clip name.
      speakers: Speakers by clip name.
      kept: Stretches that stay; by default all of each clip.
    """
    parts: dict[str, list[tuple[str, int, int]]] = {split: [] for split in SPLITS}
    for name, stretches in _staying(clips, kept).items():
        parts[splits[name]] += [(name, first, stop - first) for first, stop in stretches]
    return place_segments(parts, speakers)


def _staying(clips: dict[str, int], kept: Kept | None) -> dict[str, list[Stretch]]:
    """Returns the stretches that stay, for every clip that has any."""
    if kept is None:
        return {name: [(0, frames)] for name, frames in clips.items()}
    return {name: list(kept[name]) for name in clips if kept[name]}


def _shared(stretches: Sequence[Stretch]) -> Iterator[list[Stretch]]:
    """Yields the stretches of each split, in its share of their frames.

    Where there are several stretches, pieces too short to learn from are dropped.
    """
    frames = sum(stop - first for first, stop in stretches)
    cuts = [0, frames * SHARES[0] // 100, frames * (SHARES[0] + SHARES[1]) // 100, frames]
    least = 1 if len(stretches) == 1 else TRIPLET
    for low, high in itertools.pairwise(cuts):
        pieces, before = [], 0
        for first, stop in stretches:
            begin = first + max(low - before, 0)
            end = min(stop, first + high - before)
            before += stop - first
            if end - begin >= least:
                pieces.append((begin, end))
        yield pieces


def place_segments(
    parts: dict[str, list[tuple[str, int, int]]], speakers: Mapping[str, str] | None = None
) -> list[Segment]:
    """Makes segments from (clip, first, frames) by split, one after the other in each split.

    Args:
      speakers: Speakers by clip name, if known.
    """
    segments = []
    for split, pieces in parts.items():
        offset, times = 0, Counter()
        for clip, first, frames in pieces:
            if frames:
                speaker, part = speakers[clip] if speakers else None, times[clip] or None
                segments.append(Segment(split, clip, first, frames, offset, speaker, part))
                offset += frames
                times[clip] += 1
    return segments


def same_voice(segments: Iterable[Segment], segment: Segment) -> list[Segment]:
    """Returns the segments of the same clip and split, which share one loudness.

    A short part has none of its own: it may be a pause.
    """
    return [s for s in segments if (s.clip, s.split) == (segment.clip, segment.split)]


def check_segments(segments: tuple[Segment, ...]) -> None:
    """Raises a ValueError unless segments follow each other in splits and overlap in no clip."""
    ends = dict.fromkeys(SPLITS, 0)
    taken: dict[str, list[Stretch]] = {}
    for s in segments:
        numbers = (s.first, s.frames, s.offset)
        if s.split not in SPLITS or any(type(n) is not int or not 0 <= n < 2**31 for n in numbers):
            raise ValueError(f"there is no such segment: {s}")
        if not isinstance(s.clip, str) or Path(s.clip).name != s.clip or "\0" in s.clip:
            raise ValueError(f"{s.clip!r} is no clip's name")
        if s.speaker is not None and not isinstance(s.speaker, str):
            raise ValueError(f"{s.speaker!r} is no speaker's name")
        if s.part is not None and (type(s.part) is not int or not 0 < s.part < 2**31):
            raise ValueError(f"{s.part!r} is no segment's part")
        if not s.frames or s.offset != ends[s.split]:
            raise ValueError(f"the segments of its {s.split!r} split do not follow each other")
        ends[s.split] += s.frames
        taken.setdefault(s.clip, []).append((s.first, s.first + s.frames))
    for clip, parts in taken.items():
        for (_, stop), (first, _) in itertools.pairwise(sorted(parts)):
            if first < stop:
                raise ValueError(f"segments of the clip {clip!r} overlap")


def longest(segments: Iterable[Segment], split: str) -> int:
    """Returns the most frames in a row that a split has."""
    return max((s.frames for s in segments if s.split == split), default=0)
