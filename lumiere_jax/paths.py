"""Expands user paths and finds files by pattern."""

import contextlib
import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from lumiere_jax.errors import UserError, printable, shortened

CACHE = "LUMIERE_JAX_CACHE"
# Bytes of a name, and of a whole path, which is made longer by what is put into a folder.
LONGEST_NAME, LONGEST = 255, 3_000

# Orbax reads its own path as a pattern, and other libraries are given no bytes outside UTF-8.
_NOT_PLAIN = re.compile(r"[\[\]*?\\\udc80-\udcff]")


def expanded(name: str, text: str) -> str:
    """The text with `~` and `~user` at its start replaced by a home folder, as in a shell.

    Raises:
      UserError: there is no such user, and nothing has that very name. `name` is the flag's.
    """
    path = os.path.expanduser(text)
    if path.startswith("~") and not os.path.lexists(path):
        raise UserError(
            f"{name}={text}: there is no user '{text[1:].split('/')[0]}'; write ./{text} for a "
            "name that begins with ~."
        )
    return path


def user_path(name: str, text: str | Path) -> Path:
    """The path that a flag's text names: as it is written, so that messages say it so too, or from
    the root where it has a `..`.

    Raises:
      UserError: see `expanded`; or it is longer than disks allow.
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
    """The path from the root. A `..` leads out of the folder that a link before it leads to."""
    parts = Path(path).absolute().parts
    if ".." in parts:
        last = len(parts) - parts[::-1].index("..")
        parts = os.path.realpath(os.path.join(*parts[:last])), *parts[last:]
    return Path("/", *(part.lstrip("/") for part in parts))


def cache_folder() -> Path:
    """Where what is fetched or compiled is kept: the system's folder, or the variable's."""
    if named := os.environ.get(CACHE):
        return user_path(CACHE, named)
    import pooch  # here, because machines without a network may lack it

    return Path(pooch.os_cache("lumiere_jax"))


def matching(pattern: str) -> list[Path]:
    """What a pattern names, sorted. A part of it that is there by that very name is no pattern."""
    found = [Path()]
    for part in Path(pattern).parts:
        found = [folder / name for folder in found for name in _named(folder, part)]
    return sorted(found)


def _named(folder: Path, part: str) -> list[str]:
    if os.path.lexists(folder / part):
        return [part]
    # Brackets may belong to the name of what is looked for, as in 'part [1]*.mp4'.
    return glob.glob(part, root_dir=folder) or glob.glob(part.replace("[", "[[]"), root_dir=folder)


@contextlib.contextmanager
def plainly_named(folder: Path) -> Iterator[Path]:
    """The folder by a name that every library takes as it is, for this process and its children.

    Raises:
      OSError: the folder cannot be opened.
      UserError: this system has no such names.
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
    """The folder's own name, where the path begins with one of `plainly_named`."""
    return path.resolve() if path.parts[1:2] == ("proc",) else path
