"""Bound on the index that an MP4 or QuickTime file demands, checked before FFmpeg allocates it.

A sample of constant size takes no space in a file's tables, an edit list repeats samples, and every
fragment refers to every track. So FFmpeg may build an index of gigabytes from a file of a kilobyte.
Every box that FFmpeg reads is counted, wherever it lies; some that it skips may be counted too.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import numpy as np

# Boxes that hold others from their first byte on, and boxes that hold them behind a header.
INSIDE = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex", b"udta"}
INSIDE |= {b"dinf", b"tref", b"sinf", b"schi", b"ilst"}
BEHIND = {b"meta", b"stsd", b"wave"}
# FFmpeg gives up at eleven.
DEPTH = 12
# Offset of the number of entries in each table.
COUNTS = {name: 4 for name in (b"stco", b"co64", b"stts", b"ctts", b"stsc", b"stss", b"stps")}
COUNTS |= {b"trun": 4, b"senc": 4, b"stsz": 8, b"stz2": 8}
# Compressed boxes, obsolete for twenty years, and picture properties, read again and again.
REFUSED = {b"cmov", b"iprp"}
OTHERS = {b"elst", b"iinf", b"iloc", b"moof", b"saiz", b"sbgp", b"sgpd", b"sidx", b"trak"}
READ = {*COUNTS, *REFUSED, *OTHERS}
NAMES = re.compile(b"|".join(sorted(READ)))
LEAVES = {*READ, b"covr", b"mdat"}
PIECE = 1 << 20

# FFmpeg takes 40 bytes for an index entry. FEWEST entries do no harm; above, each needs BYTES of
# the file.
FEWEST, BYTES = 1 << 22, 4
BOXES, BYTES_A_BOX = 1 << 16, 32
# Sound whose samples all last one unit is indexed by chunks, in parts of at least PART samples.
PART = 160
TABLES = (b"", b"moov", b"trak", b"mdia", b"minf", b"stbl")


class Box(NamedTuple):
    """A name, the ends of its content, and its parents; none if it was found by name alone."""

    name: bytes
    start: int
    stop: int
    parents: tuple[bytes, ...]


@dataclass
class Track:
    """Numbers from the tables of one track.

    Attributes:
        samples: Number of samples.
        chunks: Number of chunks.
        most: Samples in the largest chunk.
        kinds: Kinds of media.
        steps: For each table of times, how long every sample lasts; 0 where that may differ.
    """

    samples: int = 0
    chunks: int = 0
    most: int = 0
    kinds: set[bytes] = field(default_factory=set)
    steps: set[int] = field(default_factory=set)

    @property
    def entries(self) -> int:
        """Number of entries that FFmpeg makes in the track's index."""
        parts = self.most * self.chunks // PART
        sound = b"soun" in self.kinds and not self.kinds & {b"vide", b"subp", b"clcp"}
        return parts if sound and self.steps == {1} else parts + self.samples


def promises_too_much(file: BinaryIO) -> bool:
    """Returns whether the index would have far more entries than the file's bytes justify."""
    size = file.seek(0, os.SEEK_END)
    limit = max(FEWEST, size // BYTES)
    tracks, listed, edits, fragments = [Track()], 0, 1, 0
    begins, referred, indexed = {0}, set(), 0
    for number, box in enumerate(_boxes(file, 0, size, (b"",))):
        if box.name in REFUSED or number > max(BOXES, size // BYTES_A_BOX):
            return True
        if len(box.parents) == 1:
            begins.add(box.stop)
        if box.name in (b"trak", b"mdat") and box.parents[-1:] not in ((b"",), (b"moov",)):
            tracks[-1].steps.add(0)  # FFmpeg stops here and misses times that follow
        if box.name == b"trak":
            indexed += tracks[-1].entries
            tracks.append(Track())
        elif box.name == b"sidx":
            places = _referred(file, box)
            referred |= places
            fragments += len(places)
        elif box.name == b"elst":  # if they differ, FFmpeg takes the number that fits
            edits = max(edits, _number(file, box.start + 4), (box.stop - box.start - 8) // 12)
        else:
            fragments += box.name == b"moof"
            listed += _listed(file, box, tracks[-1], limit)
        entries = (indexed + tracks[-1].entries) * edits + listed + 2 * len(tracks) * fragments
        if entries > limit:
            return True
    # FFmpeg reads boxes at these places, whatever holds them.
    return any(place < size for place in referred - begins)


def _listed(file: BinaryIO, box: Box, track: Track, limit: int) -> int:
    """Returns how many entries a table promises beside its track's samples, which it notes."""
    name, start = box.name, box.start
    count = _number(file, start + COUNTS[name]) if name in COUNTS else 0
    if name in (b"stsz", b"stz2"):
        track.samples += count
        return 0
    if count > limit:
        return count
    if name == b"hdlr":
        track.kinds.add(_read(file, start + 8, 4))
    elif name in (b"stco", b"co64"):
        track.chunks += count
    elif name == b"stsc":
        track.most = max([track.most, *_column(file, start + 8, count, 3, 1).tolist()])
    elif name == b"stts":
        single = count == 1 and box.parents == TABLES
        track.steps.add(_number(file, start + 12) if single else 0)
    elif name == b"ctts":
        count += int(_column(file, start + 8, count, 2, 0).sum())
    elif name in (b"sbgp", b"sgpd", b"saiz", b"iinf", b"iloc"):
        count = _grouped(file, box, limit)
    return count


def _grouped(file: BinaryIO, box: Box, limit: int) -> int:
    """Returns the entries of a table whose first bytes say where their number is."""
    head, start = _read(file, box.start, 8).ljust(8, b"\0"), box.start
    if box.name in (b"iinf", b"iloc"):
        return max(_number(file, start + at) for at in (4, 6)) if head[0] else 1 << 16
    if box.name == b"saiz":
        return _number(file, start + (13 if head[3] & 1 else 5))
    if head[4:] not in (b"sync", b"rap "):
        return 0
    if box.name == b"sgpd":
        return max(_number(file, start + at) for at in (12, 16))
    place = start + (12 if head[0] else 8)
    count = _number(file, place)
    return count if count > limit else count + int(_column(file, place + 4, count, 2, 0).sum())


def _referred(file: BinaryIO, box: Box) -> set[int]:
    """Returns the places in the file where fragments begin, according to an index of them."""
    wide = _read(file, box.start, 1) > b"\0"
    head = _read(file, box.start, 32 if wide else 24)
    first, count = int.from_bytes(head[20:28] if wide else head[16:20]), head[-2:]
    sizes = _column(file, box.start + len(head), int.from_bytes(count), 3, 0)
    return {box.stop + first + int(n) for n in [0, *np.cumsum(sizes)[:-1]]}


def _boxes(file: BinaryIO, start: int, end: int, parents: tuple[bytes, ...]) -> Iterator[Box]:
    """Yields the boxes between two places and those inside them, each before its content."""
    while end - start >= 8:
        head = _read(file, start, 20)
        size, name, begin = int.from_bytes(head[:4]), head[4:8], start + 8
        if size == 1:
            size, begin = int.from_bytes(head[8:16]), start + 16
        stop = min(start + size, end) if size else end
        if stop < begin:
            return
        if name in (b"hoov", b"free") and head[12:16] in (b"mvhd", b"cmov"):
            name = b"moov"
        yield Box(name, begin, stop, parents)
        if name in INSIDE and len(parents) < DEPTH:
            yield from _boxes(file, begin, stop, (*parents, name))
        elif name in BEHIND or (len(parents) > 1 and name not in LEAVES):
            yield from _found(file, begin, stop)
        start = stop


def _found(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Yields possible boxes, found by name, in content of another structure."""
    for begin in range(start, end, PIECE):
        piece = _read(file, begin, min(PIECE + 3, end - begin))
        for match in NAMES.finditer(piece):
            yield Box(match[0], begin + match.end(), end, ())


def _read(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _number(file: BinaryIO, place: int) -> int:
    return int.from_bytes(_read(file, place, 4))


def _column(file: BinaryIO, place: int, count: int, width: int, which: int) -> np.ndarray:
    """Reads a column of a table of 32-bit numbers, up to the file's end."""
    data = _read(file, place, 4 * width * count)
    rows = np.frombuffer(data[: len(data) // (4 * width) * 4 * width], ">u4").reshape(-1, width)
    return rows[:, which].astype(np.int64)
