"""Files of a few kilobytes for which a library would make room of gigabytes, made by hand."""

import struct


def box(name: bytes, *contents: bytes) -> bytes:
    """A box of an MP4."""
    content = b"".join(contents)
    return struct.pack(">I", 8 + len(content)) + name + content


def numbers(*values: int) -> bytes:
    """As its tables hold them."""
    return struct.pack(f">{len(values)}I", *values)


def index(samples: int, wrap=bytes, moov: bytes = b"moov", more: bytes = b"") -> bytes:
    """An MP4 whose only track promises so many samples of a byte; `wrap` hides the table of their
    sizes, `moov` is the name of the box of all, and `more` follows in it."""
    table = wrap(box(b"stsz", numbers(0, 1, samples)))
    coded = bytes(6) + b"\0\1" + bytes(8) + struct.pack(">HHHHI", 1, 16, 0, 0, 16_000 << 16)
    stbl = box(
        b"stbl",
        box(b"stsd", numbers(0, 1), box(b"mp4a", coded)),
        box(b"stts", numbers(0, 1, samples, 1024)),
        box(b"stsc", numbers(0, 1, 1, samples, 1)),
        table,
        box(b"stco", numbers(0, 1, 40)),
    )
    media = box(
        b"mdia",
        box(b"mdhd", numbers(0, 0, 0, 16_000, samples % 2**31, 0)),
        box(b"hdlr", numbers(0, 0), b"soun", bytes(13)),
        box(b"minf", box(b"smhd", bytes(8)), stbl),
    )
    track = box(b"trak", box(b"tkhd", numbers(7, 0, 0, 1, 0, 9), bytes(60)), media)
    header = box(b"mvhd", numbers(0, 0, 0, 1000, 9), bytes(80))
    return box(b"ftyp", b"isom", numbers(0)) + box(moov, header, track, more) + box(b"mdat", b"x")
