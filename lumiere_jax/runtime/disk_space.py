"""Free disk space, checked before a long run, and one-sentence errors for disks that fail in it.

A run is refused only where its lower estimate does not fit; its upper estimate is printed first.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from lumiere_jax.errors import UserError, disk_is_full, is_disk_full, readable_bytes, reason
from lumiere_jax.runtime import hosts

T = TypeVar("T")


def check_space(folder: Path, least: int) -> int:
    """Returns the free bytes on the disk of `folder`, which need not exist yet.

    Raises:
      UserError: fewer than `least` bytes are free.
    """
    place = folder.absolute()
    free = shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free
    if free < least:
        raise UserError(
            f"{folder} has {readable_bytes(free)} of free disk, and this takes "
            f"{readable_bytes(least)} at the very least: make room, or name a folder on another "
            "disk."
        )
    return free


def announce_space(folder: Path, least: int, most: int) -> None:
    """Checks free space as `check_space` does and prints how much will be written."""
    free = check_space(folder, least)
    warning = "warning: " if most > free else ""
    hosts.say(
        f"{warning}{folder}: up to {readable_bytes(most)} to write, {readable_bytes(free)} are "
        "free."
    )


def while_folder_stays(items: Iterator[T], folder: Path) -> Iterator[T]:
    """Yields the items while `folder` remains the same folder.

    On an unmounted disk Orbax would create its folders again, below the mount point.

    Raises:
      OSError: `folder` is gone or another one.
    """
    before = folder.stat()
    for item in items:
        if not os.path.samestat(folder.stat(), before):
            raise FileNotFoundError(errno.ENOENT, "another is in its place", str(folder))
        yield item


@contextmanager
def written_into(folder: Path, parent: Path | None = None) -> Iterator[None]:
    """Raises a UserError where a disk fills up, disappears or becomes read-only in the block.

    The folder is checked at the end, too: after an unmount, writes go into a folder of the same
    name below the mount point and raise nothing.

    Args:
      folder: Output folder, named in the error.
      parent: Existing folder to watch where `folder` does not exist yet.

    Raises:
      UserError: the disk is full, gone or read-only.
    """
    wrong, place = None, parent or folder
    place.mkdir(exist_ok=True)  # another host has made it, but this one may not see it yet
    # Some network disks change a folder's inode number unless it is held open.
    held = os.open(place, os.O_RDONLY)
    try:
        before = os.fstat(held)
        try:
            yield
        except UserError:
            if _is(place, before):
                raise
        except Exception as error:
            wrong = _happened(folder, place, before, error)
            if wrong is None:
                raise
        if wrong is None and not _is(place, before):
            there = "another is in its place" if os.path.exists(place) else "nothing is there"
            wrong = _gone(folder, there)
    finally:
        os.close(held)
    # Raised outside the `except` block, so pending writes are released here and not at exit.
    if wrong:
        raise wrong


def _is(place: Path, before: os.stat_result) -> bool:
    """Whether a folder exists and is still the same one."""
    try:
        return os.path.samestat(place.stat(), before)
    except OSError:  # a missing disk raises one of several
        return False


def _happened(
    folder: Path, place: Path, before: os.stat_result, error: Exception
) -> UserError | None:
    """Returns the UserError for a disk's failure; None where `error` has another cause."""
    if is_disk_full(error):
        return disk_is_full(folder)
    why = reason(error) if isinstance(error, OSError) else type(error).__name__
    if not _is(place, before):
        return _gone(folder, why)
    if isinstance(error, FileNotFoundError) and _lies_in(error.filename, place):
        return _gone(folder, why, "is gone, or files of it are")
    if not os.access(place, os.W_OK):
        return _gone(folder, why, "can be written no longer")
    return None


def _lies_in(name: object, place: Path) -> bool:
    if not isinstance(name, str | os.PathLike):
        return False
    path = Path(name).absolute()
    return place.absolute() in (path, *path.parents)


def _gone(folder: Path, why: str, what: str = "is gone") -> UserError:
    return UserError(
        f"{folder} {what} ({why}): bring its disk back and run this again; what was whole on it "
        "is not touched."
    )
