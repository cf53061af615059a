"""Free disk space, checked before a long run starts, and a sentence where a run uses it up.

A run is refused only where it surely does not fit; what it takes at most is said beforehand.
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
    """Bytes that are free where `folder` is, or will be.

    Raises:
      UserError: they are fewer than `least`.
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
    """`check_space`, and a line that says how much will be written."""
    free = check_space(folder, least)
    warning = "warning: " if most > free else ""
    hosts.say(
        f"{warning}{folder}: up to {readable_bytes(most)} to write, {readable_bytes(free)} are "
        "free."
    )


def while_folder_stays(items: Iterator[T], folder: Path) -> Iterator[T]:
    """The items, as long as `folder` is the one it was: Orbax would make the folders of a disk that
    was taken away anew, on the disk below.

    Raises:
      OSError: it is not.
    """
    before = folder.stat()
    for item in items:
        if not os.path.samestat(folder.stat(), before):
            raise FileNotFoundError(errno.ENOENT, "another is in its place", str(folder))
        yield item


@contextmanager
def written_into(folder: Path, parent: Path | None = None) -> Iterator[None]:
    """Says in a sentence where a disk filled up, was taken away or became read-only meanwhile.

    A folder that is not there yet has a `parent` that is. It is looked at in the end, too: writing
    into a folder of the same name on the disk below raises nothing.

    Raises:
      UserError: one of these befell it.
    """
    wrong, place = None, parent or folder
    place.mkdir(exist_ok=True)  # another host has just made it, which this one may not see yet
    # Some network disks number a folder anew unless it is held open.
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
    # Out here, where writes that were begun are let go of, and not at the program's end.
    if wrong:
        raise wrong


def _is(place: Path, before: os.stat_result) -> bool:
    """Whether a place is there, and the one that it was."""
    try:
        return os.path.samestat(place.stat(), before)
    except OSError:  # whichever way a disk is gone
        return False


def _happened(
    folder: Path, place: Path, before: os.stat_result, error: Exception
) -> UserError | None:
    """What befell the folder, if that is why something was raised."""
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
