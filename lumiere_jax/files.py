"""Atomic writes, and reads that check JSON from any source."""

import errno
import json
import os
from pathlib import Path
from typing import Any

# Most bytes of a file that is read whole; parsed as JSON, they take twenty times the memory.
LARGEST = 1 << 24


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file atomically: the old content stays until the new one is complete."""
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb", opener=_no_link) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    put_in_place(partial, path)


def put_in_place(made: Path, place: Path) -> None:
    """Flushes a file or a folder to the disk, then gives it its final name.

    Whatever has that name is complete, also after a power cut.

    Raises:
      OSError: The disk is full or gone, or `place` is a folder that is not empty.
    """
    for path in (*made.rglob("*"), made):
        _flush(path)
    made.replace(place)
    _flush(place.parent)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network disks cannot flush folders.
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def read_whole(path: Path) -> bytes:
    """Reads a file as bytes.

    Raises:
      OSError: It cannot be read.
      ValueError: It is not a regular file, or larger than `LARGEST`.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST >> 20} MB")
    return data


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
      OSError: It cannot be read.
      ValueError: It is not JSON, too large, nested too deeply, or has text that UTF-8 cannot
        encode.
    """
    data = read_whole(path)
    try:
        values = json.loads(data)
        # A lone surrogate can neither be printed nor written into a video.
        json.dumps(values, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return values
