"""Continuous clock for files whose time stamps jump, such as joined files.

`cat a.ts b.ts` begins its second half at zero again, and a recorder that sets its clock jumps back
or forward. A file is therefore divided into parts wherever its stamps jump, and each part follows
the one before it. All tracks of a part move alike, so picture and sound stay in step.
"""

import contextlib
import functools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer

from lumiere_jax.inputs.media.containers import Track, demuxed, open_media, open_track, tracks

# Seconds. Stamps that go back by more than BACK have jumped. Stamps that go forward have jumped
# where they leave out more than FORWARD in all tracks (FFmpeg's `dts_delta_threshold`); less is a
# gap, which stays. No MPEG clock jumps by more than WRAP, where its 33 bits begin anew.
BACK, FORWARD, WRAP = 0.5, 10.0, 2**33 / 90_000
# Seconds by which sound may overlap where parts meet: encoders pad it with silence.
OVERLAP = 0.1


@dataclass
class _Part:
    """A stretch of a file between two jumps, in seconds of its own clock."""

    offset: float  # to the first part's clock, roughly, until the part is known as a whole
    latest: float
    spans: dict[int, tuple[float, float]] = field(default_factory=dict)


@dataclass
class _Line:
    """State of reading a track.

    Attributes:
        part: Index of its current part.
        shown: Display time of the last packet on that part's clock.
        decoded: Decoding time of the last packet on that part's clock.
        entered: (packet, part) wherever the track entered another part.
        length: Seconds that the last packet lasts.
    """

    part: int
    shown: float
    decoded: float
    entered: list[tuple[int, int]]
    length: float = 0.0


@contextlib.contextmanager
def open_steady(path: str | Path, kind: str, number: int | None = None) -> Iterator[Track]:
    """Opens a track as `open_track` does, with time stamps that do not jump."""
    moves = jumps(path)
    with open_track(path, kind, number) as track:
        track.moves = moves.get(track.stream.index, ())
        yield track


def jumps(path: str | Path) -> dict[int, tuple[tuple[int, Fraction], ...]]:
    """Finds where time stamps jump, by the index of each track.

    Reads all packets once and decodes none; results are cached.

    Returns:
        For each track that jumps, packets (counted from 0) and the seconds to add to time stamps
        from there on.
    """
    path = Path(path)
    stat = path.stat() if path.exists() else None
    return _jumps(path, stat and (stat.st_size, stat.st_mtime_ns))


@functools.lru_cache(maxsize=256)
def _jumps(path: Path, version: tuple[int, int] | None) -> dict[int, tuple]:
    with open_media(path) as container:
        parts, lines = _parts(path, container)
        pictures = {stream.index for stream in container.streams.video}
    offsets = _offsets(parts, pictures)
    return {
        index: tuple((first, offsets[part]) for first, part in line.entered)
        for index, line in lines.items()
        if line.entered
    }


def _parts(path: Path, container: InputContainer) -> tuple[list[_Part], dict[int, _Line]]:
    """Reads the parts of a file, and the way of each of its tracks through them."""
    streams = [*tracks(container, "video"), *tracks(container, "audio")]
    seconds = {s.index: float(s.time_base) for s in streams if s.time_base}
    parts: list[_Part] = []
    lines: dict[int, _Line] = {}
    counts: Counter[int] = Counter()
    # Damage is reported where the track is read.
    for packet in demuxed(path, container, streams, lambda: None):
        index = packet.stream.index
        unit = seconds.get(index)
        count, counts[index] = counts[index], counts[index] + 1
        shown, decoded = (
            _seconds(packet.pts, packet.dts, unit),
            _seconds(packet.dts, packet.pts, unit),
        )
        if shown is None or decoded is None:
            continue
        parts = parts or [_Part(0.0, shown)]
        if index not in lines:
            last = len(parts) - 1
            lines[index] = _Line(last, shown, decoded, [(0, last)] if last else [])
        line = lines[index]
        if (part := _part_of(shown, decoded, line, parts)) != line.part:
            line.part = part
            line.entered.append((count, part))
        elif decoded > line.decoded:
            line.length = min(line.length or math.inf, decoded - line.decoded)
        if packet.duration and unit:
            line.length = packet.duration * unit
        line.shown, line.decoded = shown, decoded
        first, end = parts[part].spans.get(index, (shown, shown))
        parts[part].spans[index] = min(first, shown), max(end, shown + line.length)
        parts[part].latest = max(parts[part].latest, shown)
    return parts, lines


def _seconds(stamp: int | None, other: int | None, unit: float | None) -> float | None:
    stamp = other if stamp is None else stamp
    return None if stamp is None or unit is None else stamp * unit


def _part_of(shown: float, decoded: float, line: _Line, parts: list[_Part]) -> int:
    """Returns the part of a track's packet; adds a part if this track is the first to jump."""
    last = len(parts) - 1
    step = shown - line.shown - line.length
    moved = step + parts[last].offset - parts[line.part].offset
    # Jumps back are found in decoding times, as pictures are displayed in another order. Jumps
    # forward are not: where a format has no decoding times, FFmpeg's guesses come late.
    if step <= FORWARD:
        step = decoded - line.decoded - line.length
    if -BACK <= step <= FORWARD and (line.part == last or abs(step) <= abs(moved)):
        return line.part
    # Another track may have jumped before, or gone on where this one had no packets.
    known = abs(shown - parts[last].latest) <= FORWARD and (line.part < last or step > 0)
    if not known and not step > WRAP:
        parts.append(_Part(parts[line.part].offset - step, shown))
    return len(parts) - 1


def _offsets(parts: list[_Part], pictures: set[int]) -> list[Fraction]:
    """Returns the seconds by which each part moves so that it follows the one before.

    Pictures have neither gaps nor overlaps between parts; sound overlaps by at most `OVERLAP`.
    """
    ends: dict[int, float] = {}
    offsets = []
    for part in parts:
        offset = max(
            (
                ends[index] - first - (0 if index in pictures else OVERLAP)
                for index, (first, _) in part.spans.items()
                if index in ends
            ),
            default=max(ends.values()) - min(first for first, _ in part.spans.values())
            if ends
            else 0.0,
        )
        offsets.append(Fraction(offset))
        ends |= {index: end + offset for index, (_, end) in part.spans.items()}
    return offsets
