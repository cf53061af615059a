"""Folder locks: one run at a time."""

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
    """Locks `file` for one run, on one or several hosts, and removes it at the end.

    The lock of a killed process is released by the kernel.

    Args:
      file: Lock file.
      name: Folder that error messages name.

    Raises:
      UserError: another run holds the lock, or the file cannot be written or locked.
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
    """Opens and locks the file; tries again where its last holder has just removed it."""
    while True:
        # Follows no symbolic link to another file, and never blocks on a pipe.
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
