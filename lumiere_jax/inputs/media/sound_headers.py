"""Headers of uncompressed sound with unknown lengths, corrected while they are read.

A program that writes into a pipe cannot go back to the header: text-to-speech services, FFmpeg and
SoX leave 0, FFFFFFFF, 7FFFFFFF or slightly less there. FFmpeg then reads on to the end, but takes
the last packet for a truncated one, or refuses the file.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

# Lengths of 32 and of 64 bits that mean, from here on, that the length is unknown.
UNKNOWN = {4: 0x7FFF_0000, 8: 2**62}
CHUNKS = 1000


class Field(NamedTuple):
    """A number in a header: its place, its struct format, and its value."""

    place: int
    packing: str
    value: int


class Header(NamedTuple):
    """Lengths in a header of sound.

    Attributes:
        data: Length of the data, which includes `more` bytes besides the samples.
        start: Place at which the samples begin.
        whole: Length of the whole file without its first `before` bytes.
        samples: In AIFF, the number of samples, of `frame` bytes each.
        packing: Struct format of the chunks' lengths; "" without chunks.
    """

    data: Field
    start: int
    more: int
    whole: Field | None = None
    before: int = 0
    samples: Field | None = None
    frame: int = 0
    packing: str = ""


def read_header(file: BinaryIO) -> Header | None:
    """Reads the header of a WAV, RF64, W64, AIFF or AU file; returns None for others."""
    file.seek(0)
    head = file.read(40).ljust(40, b"\0")
    if head[:4] == b".snd":
        start, length = struct.unpack(">II", head[4:12])
        return Header(Field(8, ">I", length), start, 0)
    if (head[:4], head[8:12]) == (b"RIFF", b"WAVE"):
        return _chunked(file, "<I", b"data", 12, 0)
    if head[:4] in (b"RF64", b"BW64") and head[8:16] == b"WAVEds64":  # lengths of 64 bits in ds64
        header = _chunked(file, "<I", b"data", 12, 0)
        return header and header._replace(
            data=_number(file, 28, "<Q"), whole=_number(file, 20, "<Q")
        )
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _chunked(file, ">I", b"SSND", 12, 8)
    if (head[:4], head[24:28]) == (b"riff", b"wave"):
        return _chunked(file, "<Q", b"data", 40, 24)
    return None


def _chunked(file: BinaryIO, packing: str, name: bytes, place: int, more: int) -> Header | None:
    """Reads a header whose chunks begin at `place`, with the data in the chunk `name`."""
    title, extra, before = (16, 24, 0) if packing == "<Q" else (4, 0, 8)
    samples, frame = None, 0
    for kind, length, _ in _chunks(file, packing, place):
        begin = length.place + struct.calcsize(packing)
        if kind == b"COMM":
            channels, count, bits = struct.unpack(">HIH", _read(file, begin, 8))
            samples, frame = Field(begin + 2, ">I", count), channels * -(-bits // 8)
        if kind == name:
            whole = _number(file, title, packing)
            return Header(
                length, begin + more - extra, more, whole, before, samples, frame, packing
            )
        if not any(kind):
            return None
    return None


def _chunks(file: BinaryIO, packing: str, place: int) -> Iterator[tuple[bytes, Field, int]]:
    """Yields the chunks from `place` on: the name, the length, and where the next one begins.

    Names of W64 have 16 bytes, its lengths count from the chunk's start, and chunks begin at
    multiples of 8.
    """
    title, extra, even = (16, 24, 8) if packing == "<Q" else (4, 0, 2)
    for _ in range(CHUNKS):
        kind, length = _read(file, place, 4), _number(file, place + title, packing)
        size = length.value - extra
        place = length.place + struct.calcsize(packing) + max(size, 0) + -size % even
        yield kind, length, place


def _number(file: BinaryIO, place: int, packing: str) -> Field:
    data = _read(file, place, struct.calcsize(packing))
    return Field(place, packing, struct.unpack(packing, data)[0])


def _read(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(min(place, 2**62))
    return file.read(count).ljust(count, b"\0")


def _there(file: BinaryIO, header: Header) -> int:
    return max(file.seek(0, io.SEEK_END) - header.start, 0)


def _unknown(file: BinaryIO, header: Header) -> bool:
    length = header.data.value
    if length <= header.more:  # also true of a file without sound that knows its length
        return not (header.packing and _ends_in_chunks(file, header))
    limit = UNKNOWN[struct.calcsize(header.data.packing)]
    return length >= limit and length - header.more > _there(file, header)


def _ends_in_chunks(file: BinaryIO, header: Header) -> bool:
    """Returns whether only chunks follow a header, and therefore no sound."""
    size, place = file.seek(0, io.SEEK_END), header.start
    for kind, _, after in _chunks(file, header.packing, place):
        if place >= size or not all(32 <= letter < 127 for letter in kind):
            break
        place = after
    return size <= place <= size + 1  # the last one's padding may be left out


def cut_off(path: Path) -> bool:
    """Returns whether a file ends before its sound does, by a header that knows the length."""
    with path.open("rb") as file:
        header = read_header(file)
        if header is None or _unknown(file, header):
            return False
        return _there(file, header) < header.data.value - header.more


def mended(file: BinaryIO) -> Any:
    """Returns the file, with its true lengths in place of unknown ones."""
    header, patches = read_header(file), {}
    if header and _unknown(file, header) and (there := _there(file, header)):
        numbers = [(header.data, there + header.more)]
        if header.whole:
            numbers.append((header.whole, header.start + there - header.before))
        if header.samples and header.frame:
            numbers.append((header.samples, there // header.frame))
        if all(value < 256 ** struct.calcsize(field.packing) for field, value in numbers):
            patches = {field.place: struct.pack(field.packing, value) for field, value in numbers}
    file.seek(0)
    return _Patched(file, patches) if patches else file


class _Patched:
    """A readable file with some of its bytes replaced."""

    def __init__(self, file: BinaryIO, patches: dict[int, bytes]):
        self.file, self.patches = file, patches
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int = -1) -> bytes:
        begin = self.tell()
        data = bytearray(self.file.read(count))
        for place, patch in self.patches.items():
            for at, byte in enumerate(patch, place - begin):
                if 0 <= at < len(data):
                    data[at] = byte
        return bytes(data)
