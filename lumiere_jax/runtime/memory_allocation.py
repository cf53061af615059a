"""Memory settings: malloc keeps freed memory, and JAX takes nearly all accelerator memory."""

import ctypes
import os

# Share of an accelerator's memory; JAX's default is 0.75.
SHARE = "0.9"
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # malloc.h


def keep_freed_memory() -> None:
    """Keeps glibc's malloc from returning freed memory to the kernel.

    A network's step allocates and frees hundreds of MB. When the kernel has to clear those pages
    for each step, that takes an eighth to a fifth of its time. Does nothing without glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
        mallopt(_M_ARENA_MAX, 1)  # other threads' own arenas cannot hold large arrays


def claim_accelerator() -> None:
    """Lets JAX take nearly all of a GPU's memory, since nothing else here uses it.

    Call it before the first array is made. A value of XLA_CLIENT_MEM_FRACTION, or of its older
    name, takes precedence.
    """
    if "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ:  # JAX refuses both
        os.environ.setdefault("XLA_CLIENT_MEM_FRACTION", SHARE)
