"""What the boxes of an MP4 or QuickTime file promise, before FFmpeg makes room for it.

A sample of constant size takes no place in a file's tables, and an edit list repeats samples: of
a file of a kilobyte FFmpeg would make an index of gigabytes.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

INSIDE = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex", b"udta"}
DEPTH = 10
# Old QuickTime counts single samples of compressed sound, which are less than a byte.
SAMPLES_A_BYTE = 16
FEWEST = 1 << 22


def promises_too_much(file: BinaryIO) -> bool:
    """Whether a file's index would have many more entries than its bytes could be samples."""
    size = file.seek(0, os.SEEK_END)
    samples, edits = 0, 1
    for name, content in _boxes(file, 0, size):
        if name == b"cmov":  # compressed boxes, of twenty years ago
            return True
        if name == b"stsz":
            samples += int.from_bytes(content[8:12])
        elif name == b"trun":
            samples += int.from_bytes(content[4:8])
        elif name == b"elst":
            edits = max(edits, int.from_bytes(content[4:8]))
    return samples * edits > max(SAMPLES_A_BYTE * size, FEWEST)


def _boxes(file: BinaryIO, start: int, end: int, depth: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Names and first bytes of the boxes between two places that hold no others."""
    while end - start >= 8:
        file.seek(start)
        head = file.read(32)
        size, name, begin = int.from_bytes(head[:4]), head[4:8], 8
        if size == 1:
            size, begin = int.from_bytes(head[8:16]), 16
        stop = min(start + size, end) if size else end
        if stop < start + begin:
            return
        if name in INSIDE and depth < DEPTH:
            yield from _boxes(file, start + begin, stop, depth + 1)
        else:
            yield name, head[begin:]
        start = stop
