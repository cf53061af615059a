"""How clips are cut into splits: training, validation and test."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "val", "test")
SHARES = (75, 5, 20)


@dataclass(frozen=True)
class Segment:
    """Neighbouring frames of one clip in one split; nothing looks across its ends.

    `first` counts in the clip, `offset` in the split; `speaker` is who a table of clips says.
    """

    split: str
    clip: str
    first: int
    frames: int
    offset: int
    speaker: str | None = None

    @property
    def sound(self) -> str:
        """The segment's sound, a file's path inside the dataset."""
        return f"audio/{self.split}-{self.clip}.flac"


def segments_of(clips: dict[str, int]) -> list[Segment]:
    """Cuts clips, given as frames by name, into splits.

    Under ten clips, each is cut 75/5/20% by time, in that order; otherwise whole clips are
    dealt out in the same shares.
    """
    parts: dict[str, list[tuple[str, int, int]]] = {split: [] for split in SPLITS}
    if len(clips) < 10:
        for name, frames in clips.items():
            cuts = [0, frames * SHARES[0] // 100, frames * (SHARES[0] + SHARES[1]) // 100, frames]
            for split, first, stop in zip(SPLITS, cuts, cuts[1:], strict=False):
                parts[split].append((name, first, stop - first))
    else:
        names = list(clips)
        validation = max(1, len(names) * SHARES[1] // 100)
        test = max(1, len(names) * SHARES[2] // 100)
        for i, name in enumerate(names):
            left = len(names) - i
            split = "test" if left <= test else "val" if left <= test + validation else "train"
            parts[split].append((name, 0, clips[name]))
    return place_segments(parts)


def segments_by_split(
    clips: dict[str, int], splits: Mapping[str, str], speakers: Mapping[str, str]
) -> list[Segment]:
    """Segments of whole clips, given as frames by name, in the splits and of the speakers that a
    table says."""
    parts: dict[str, list[tuple[str, int, int]]] = {split: [] for split in SPLITS}
    for name, frames in clips.items():
        parts[splits[name]].append((name, 0, frames))
    return place_segments(parts, speakers)


def place_segments(
    parts: dict[str, list[tuple[str, int, int]]], speakers: Mapping[str, str] | None = None
) -> list[Segment]:
    """Segments from (clip, first, frames) by split, one after the other in each split; `speakers`
    are those of clips, by name."""
    segments = []
    for split, pieces in parts.items():
        offset = 0
        for clip, first, frames in pieces:
            if frames:
                speaker = speakers[clip] if speakers else None
                segments.append(Segment(split, clip, first, frames, offset, speaker))
                offset += frames
    return segments


def check_segments(segments: tuple[Segment, ...]) -> None:
    """Raises a ValueError unless they follow each other in their splits and overlap in no clip."""
    ends = dict.fromkeys(SPLITS, 0)
    taken: dict[str, list[tuple[int, int]]] = {}
    for s in segments:
        numbers = (s.first, s.frames, s.offset)
        if s.split not in SPLITS or any(type(n) is not int or not 0 <= n < 2**31 for n in numbers):
            raise ValueError(f"there is no such segment: {s}")
        if not isinstance(s.clip, str) or Path(s.clip).name != s.clip or "\0" in s.clip:
            raise ValueError(f"{s.clip!r} is no clip's name")
        if s.speaker is not None and not isinstance(s.speaker, str):
            raise ValueError(f"{s.speaker!r} is no speaker's name")
        if not s.frames or s.offset != ends[s.split]:
            raise ValueError(f"the segments of its {s.split!r} split do not follow each other")
        ends[s.split] += s.frames
        taken.setdefault(s.clip, []).append((s.first, s.first + s.frames))
    for clip, parts in taken.items():
        for (_, stop), (first, _) in itertools.pairwise(sorted(parts)):
            if first < stop:
                raise ValueError(f"segments of the clip {clip!r} overlap")


def longest(segments: Iterable[Segment], split: str) -> int:
    """The most frames in a row that a split has."""
    return max((s.frames for s in segments if s.split == split), default=0)
