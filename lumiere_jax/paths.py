"""Expands user paths and finds files by pattern."""

import contextlib
import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from lumiere_jax.errors import UserError, printable, shortened

CACHE = "LUMIERE_JAX_CACHE"
# Most bytes of a name and of a whole path; paths of files inside a folder are longer still.
LONGEST_NAME, LONGEST = 255, 3_000

# Orbax reads its own path as a pattern, and other libraries cannot take bytes outside UTF-8.
_NOT_PLAIN = re.compile(r"[\[\]*?\\\udc80-\udcff]")


def expanded(name: str, text: str) -> str:
    """Replaces `~` or `~user` at the start of a text by a home folder, as a shell does.

    Args:
      name: The flag that gives the text, for messages.
      text: The text.

    Raises:
      UserError: There is no such user, and no file has that very name.
    """
    path = os.path.expanduser(text)
    if path.startswith("~") and not os.path.lexists(path):
        raise UserError(
            f"{name}={text}: there is no user '{text[1:].split('/')[0]}'; write ./{text} for a "
            "name that begins with ~."
        )
    return path


def user_path(name: str, text: str | Path) -> Path:
    """Expands a user's path.

    Args:
      name: The flag or variable that gives the path, for messages.
      text: The path as the user wrote it.

    Returns:
      The path as written, so that messages show it so; the absolute path where it has a `..`.

    Raises:
      UserError: See `expanded`; or the path is longer than disks allow.
    """
    written = Path(expanded(name, str(text)))
    path = absolute(written)
    longest = max(len(os.fsencode(part)) for part in path.parts)
    if longest > LONGEST_NAME or len(os.fsencode(path)) > LONGEST:
        raise UserError(
            f"{name}={shortened(str(text))} is too long: names have up to {LONGEST_NAME} bytes, "
            f"and whole paths up to {LONGEST:,}."
        )
    return path if ".." in written.parts else written


def absolute(path: str | Path) -> Path:
    """Returns the absolute path; a `..` after a link leaves the folder that the link names."""
    parts = Path(path).absolute().parts
    if ".." in parts:
        last = len(parts) - parts[::-1].index("..")
        parts = os.path.realpath(os.path.join(*parts[:last])), *parts[last:]
    return Path("/", *(part.lstrip("/") for part in parts))


def cache_folder() -> Path:
    """Returns the folder for downloads and compiled code: the variable's, or the system's."""
    if named := os.environ.get(CACHE):
        return user_path(CACHE, named)
    import pooch  # here, because machines without a network may lack it

    return Path(pooch.os_cache("lumiere_jax"))


def matching(pattern: str) -> list[Path]:
    """Returns paths that match a pattern, sorted; parts that exist as written are literal."""
    found = [Path()]
    for part in Path(pattern).parts:
        found = [folder / name for folder in found for name in _named(folder, part)]
    return sorted(found)


def _named(folder: Path, part: str) -> list[str]:
    if os.path.lexists(folder / part):
        return [part]
    # Brackets may be part of a file's name, as in 'part [1]*.mp4'.
    return glob.glob(part, root_dir=folder) or glob.glob(part.replace("[", "[[]"), root_dir=folder)


@contextlib.contextmanager
def plainly_named(folder: Path) -> Iterator[Path]:
    """Yields a name of the folder that every library takes literally.

    The name is valid in this process and its children.

    Raises:
      OSError: The folder cannot be opened.
      UserError: This system has no such names.
    """
    place = folder.absolute()
    if not _NOT_PLAIN.search(str(place)) and ".." not in place.parts:
        yield place
        return
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        plain = Path(f"/proc/{os.getpid()}/fd/{handle}")
        if not plain.exists():
            raise UserError(
                f"{printable(str(place))}: without /proc, libraries misread this name; name a "
                "folder without brackets, *, ?, \\ and bytes outside UTF-8."
            )
        yield plain
    finally:
        os.close(handle)


def true_name(path: Path) -> Path:
    """Returns the folder's own name for a path that begins with a `plainly_named` one."""
    return path.resolve() if path.parts[1:2] == ("proc",) else path
