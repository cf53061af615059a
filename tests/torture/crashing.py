"""A kind of input whose reader is at fault, to see that a fuzz finds it."""

import os
import signal
from pathlib import Path

from torture.targets import Kind

from lumiere_jax.errors import UserError


def _write(folder: Path) -> None:
    for number in range(4):
        (folder / str(number)).mkdir()
        (folder / str(number) / "one").write_bytes(bytes([number]) * 9)


def _read(folder: Path) -> None:
    """0 is a result, 1 raises, 2 is refused for a lack of memory, what is more kills the process as
    native code does."""
    number = int.from_bytes((folder / "one").read_bytes()[:1])
    if number == 1:
        raise ValueError("one")
    if number == 2:
        try:
            raise MemoryError("two")
        except MemoryError as error:
            raise UserError("it cannot be read") from error
    if number > 2:
        os.kill(os.getpid(), signal.SIGSEGV)


NUMBERS = Kind(_write, (_read,), "one", 1.0)
