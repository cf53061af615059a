"""Damage to files: what breaks on the way, and what somebody would write on purpose."""

import re
from collections.abc import Sequence
from random import Random

LARGEST = 1 << 20
EXTREMES = [0, 1, 2, 127, 128, 255, 2**15, 2**16 - 1, 10**9, 2**31 - 1, 2**31, 2**32 - 1]
EXTREMES += [2**63 - 1, 2**63, 2**64 - 1]
# Names of boxes, chunks and pages, and the first bytes of Matroska's larger elements.
NAMES = re.compile(
    rb"[A-Za-z][A-Za-z0-9 ]{3}|\x1aE\xdf\xa3|\x18S\x80g|\x15I\xa9f|\x16T\xaek|\xae|\xa3"
)
NUMBERS = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")
TOKENS = re.compile(rb'"[^"]*"|-?\d[\d.eE+-]*|\[|\{|true|false|null')
ABSURD = [b"1e999", b"-1e999", b"NaN", b"-1", b"0", b"1e-400", b"9" * 20, b"9" * 5000, b"0.5"]
VALUES = [*ABSURD, b"null", b"true", b"[]", b"{}", b"[[[]]]", b'""', b'"\\ud800"', b'"\\u0000"']
VALUES += [b'"../../x"', b'"/etc/passwd"', b"1/0", b'"1e999999999"', b"[" * 50_000, b'{"a":' * 9999]


def mutate(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """`data` with a few kinds of damage; parts of `others` may come in."""
    ways = [_truncate, _flip, _extreme, _extreme, _named, _named, _remove, _repeat, _swap, _insert]
    if b"\0" not in data:
        ways = [*ways[:2], *ways[6:], _number, _number, _value, _value, _value]
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        data = random.choice(ways)(data, random) if random.random() < 0.97 else b""
        if random.random() < 0.05:
            data = _splice(data, random.choice(others), random)
    return data[:LARGEST]


def _span(data: bytes, random: Random, most: int = 4096) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + int(most ** random.random()))


def _truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _flip(data: bytes, random: Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(random.choice((1, 2, 10, 100)) if data else 0):
        flipped[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def _written(data: bytes, place: int, random: Random) -> bytes:
    length = random.choice((1, 2, 4, 4, 8))
    value = random.choice(EXTREMES) % 256**length
    order = random.choice(("big", "little"))
    return data[:place] + value.to_bytes(length, order) + data[place + length :]


def _extreme(data: bytes, random: Random) -> bytes:
    # Headers are where it matters.
    return _written(data, int(len(data) * random.random() ** 3), random)


def _named(data: bytes, random: Random) -> bytes:
    ends = [found.end() for found in NAMES.finditer(data)]
    place = random.choice(ends) if ends else 0
    return _written(data, place + random.choice((-8, 0, 1, 4, 8, 12, 16, 20, 24, 28)), random)


def _remove(data: bytes, random: Random) -> bytes:
    start, stop = _span(data, random)
    return data[:start] + data[stop:]


def _repeat(data: bytes, random: Random) -> bytes:
    start, stop = _span(data, random)
    return data[:stop] + data[start:stop] * random.choice((1, 3, 100)) + data[stop:]


def _swap(data: bytes, random: Random) -> bytes:
    (a, b), (c, d) = sorted((_span(data, random), _span(data, random)))
    c = max(b, c)
    d = max(c, d)
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _insert(data: bytes, random: Random) -> bytes:
    start, stop = _span(data, random, 256)
    return data[:start] + random.randbytes(stop - start) + data[start:]


def _splice(data: bytes, other: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _replaced(data: bytes, pattern: re.Pattern[bytes], new: bytes, random: Random) -> bytes:
    found = list(pattern.finditer(data))
    if not found:
        return new
    start, stop = random.choice(found).span()
    return data[:start] + new + data[stop:]


def _number(data: bytes, random: Random) -> bytes:
    return _replaced(data, NUMBERS, random.choice(ABSURD), random)


def _value(data: bytes, random: Random) -> bytes:
    return _replaced(data, TOKENS, random.choice(VALUES), random)
