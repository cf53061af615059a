"""Files that are whole or not there, and JSON from anyone."""

import errno
import json
import os
from pathlib import Path
from typing import Any

# Bytes of a file that is read whole; parsed as JSON, they are twenty times as many.
LARGEST = 1 << 24


def write_whole(path: Path, content: str | bytes) -> None:
    """Puts the content in place at once: what was there stays until all of it is written."""
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb", opener=_no_link) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    put_in_place(partial, path)


def put_in_place(made: Path, place: Path) -> None:
    """Gives a file or a folder its final name once all of it is on the disk, so that what has the
    name is whole after a power cut too.

    Raises:
        OSError: the disk is full or gone, or `place` is a folder that holds something.
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
        # Some network disks cannot do it for folders.
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def read_whole(path: Path) -> bytes:
    """What a file holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none, or too large.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST >> 20} MB")
    return data


def read_json(path: Path) -> Any:
    """What a file of JSON holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, too large, nested too deeply, or holds texts that are none.
    """
    data = read_whole(path)
    try:
        values = json.loads(data)
        # Half a pair of surrogates could not be printed, nor written into a video.
        json.dumps(values, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return values
