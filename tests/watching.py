"""Which files of a folder are opened meanwhile, by Python or by any library: Linux's inotify."""

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

IN_OPEN = 0x20
EVENT = struct.Struct("iIII")


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[set[str]]:
    """The names of what is opened in a folder; they are there once the block has ended."""
    if not sys.platform.startswith("linux"):
        pytest.skip("inotify is Linux's")
    libc = ctypes.CDLL(None, use_errno=True)
    queue = libc.inotify_init1(os.O_NONBLOCK)
    assert queue >= 0 and libc.inotify_add_watch(queue, os.fsencode(folder), IN_OPEN) >= 0
    names: set[str] = set()
    try:
        yield names
        with contextlib.suppress(BlockingIOError):
            while data := os.read(queue, 1 << 16):
                while data:
                    *_, length = EVENT.unpack_from(data)
                    name = data[EVENT.size : EVENT.size + length].rstrip(b"\0")
                    names.add(os.fsdecode(name))
                    data = data[EVENT.size + length :]
    finally:
        os.close(queue)
