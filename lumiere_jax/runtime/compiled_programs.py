"""JAX's persistent compilation cache, in a folder that only the user can write to.

The entries are executables: whoever can write to the folder can run code as the user.
"""

import contextlib
import hashlib
import os
import platform
import sys
from pathlib import Path

from lumiere_jax.errors import reason
from lumiere_jax.paths import absolute, cache_folder, plainly_named

FOLDER = "JAX_COMPILATION_CACHE_DIR"
# Reading a cached program that compiles faster than this saves hardly any time.
LIMITS = {
    "JAX_COMPILATION_CACHE_MAX_SIZE": str(2**30),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
}
ENTRY, USED = "-cache", "-atime"
_for_good = contextlib.ExitStack()


def keep_compiled() -> None:
    """Configures JAX's compilation cache; call it before JAX is imported.

    The cache lies in the system's cache folder, or in the folder that the environment variable
    LUMIERE_JAX_CACHE names. JAX's own variables take precedence. Without a private folder, this
    prints a warning to standard error and disables the cache.

    Raises:
      UserError: LUMIERE_JAX_CACHE cannot be a folder's name.
    """
    if FOLDER in os.environ:
        return
    folder = absolute(cache_folder()) / "compiled"
    try:
        place = _private(folder) / machine_name()
        place.mkdir(exist_ok=True)
        remove_partial_entries(place)
        # JAX reads the name as a glob pattern throughout the process's life.
        place = _for_good.enter_context(plainly_named(place))
    except OSError as error:
        print(
            f"warning: {folder}: {reason(error)}; compiled programs are not kept, every start "
            "compiles anew (LUMIERE_JAX_CACHE can name another folder).",
            file=sys.stderr,
        )
        return
    for name, value in {FOLDER: str(place), **LIMITS}.items():
        os.environ.setdefault(name, value)


def _private(folder: Path) -> Path:
    """Creates the folder with mode 0700 and deletes entries that others could have written."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.stat()
    if state.st_uid != os.geteuid():
        raise PermissionError(0, "belongs to another user")
    if state.st_mode & 0o077:
        folder.chmod(0o700)
        for path in folder.glob(f"*/*{ENTRY}") if state.st_mode & 0o022 else ():
            path.unlink(missing_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "cannot be written")
    return folder


def remove_partial_entries(place: Path) -> None:
    """Removes half-written entries of a killed run, which JAX cannot read."""
    for path in place.glob(f"*{ENTRY}"):
        if not path.with_name(path.name.removesuffix(ENTRY) + USED).exists():
            path.unlink(missing_ok=True)


def machine_name() -> str:
    """Returns a name for this processor and its number of cores.

    Programs are compiled for both, but JAX's cache keys ignore the number of cores.
    """
    try:
        known = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        kind = [line for line in known if line.startswith(("flags", "Features", "model name"))]
    except OSError:
        kind = [platform.processor()]
    digest = hashlib.sha256("\n".join(kind).encode()).hexdigest()[:8]
    available = getattr(os, "sched_getaffinity", None)
    cores = len(available(0)) if available else os.cpu_count()
    return f"{platform.machine()}-{digest}-{cores}"
