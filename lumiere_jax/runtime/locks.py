"""A folder for one run at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from lumiere_jax.errors import UserError, reason
from lumiere_jax.runtime import hosts

LOCK = ".lock"


@contextlib.contextmanager
def lock(file: Path, name: Path) -> Iterator[None]:
    """Holds `file` for one run, on however many hosts, and removes it in the end; a killed process
    lets go of it by itself. Errors speak of `name`, the folder as the user knows it.

    Raises:
      UserError: another run holds it, or it cannot be written or locked.
    """
    with contextlib.ExitStack() as held:
        with hosts.together():
            if hosts.is_first():
                held.enter_context(_locked(file, name))
        yield


@contextlib.contextmanager
def _locked(file: Path, name: Path) -> Iterator[None]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = _taken(file)
    except BlockingIOError as error:
        raise UserError(
            f"{name} is in use by another run: wait for it, or name another folder."
        ) from error
    except OSError as error:
        raise UserError(
            f"{name} cannot be written ({reason(error)}): name another folder."
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # its disk may be gone
            file.unlink(missing_ok=True)
        os.close(handle)


def _taken(file: Path) -> int:
    """The file, open and locked. One that its last holder has removed meanwhile is no lock."""
    while True:
        # No link is followed to what it would empty, and no pipe waited for.
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), file.stat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
