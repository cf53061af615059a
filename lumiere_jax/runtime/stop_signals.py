"""Ctrl-C and SIGTERM as a wish to stop, which a loop grants where it can save."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Wish:
    """The signal that asked to stop; until something is `worth_saving`, signals stop at once."""

    signal: int | None = None
    worth_saving: bool = False


@contextmanager
def wishes_to_stop() -> Iterator[Wish]:
    """Notes the first signal, for the block to stop at its next good moment; the second is a
    KeyboardInterrupt with its number, as every signal is outside of the block. One that was noted
    and not granted is raised where the block ends.

    Only the main thread hears signals; in others nothing is ever asked. Signals that are ignored,
    as Ctrl-C is in a shell's background jobs, stay so.
    """
    wish = Wish()

    def note(number: int, frame: Any) -> None:
        if wish.signal is not None or not wish.worth_saving:
            if callable(before[number]):  # as the program stops elsewhere
                before[number](number, frame)
            raise KeyboardInterrupt(number)
        wish.signal = number
        # Not print: the block may be in the middle of printing.
        os.write(2, b"\nstopping after this step; once more stops at once, without saving\n")

    mine = threading.current_thread() is threading.main_thread()
    before: dict[int, Any] = {n: signal.getsignal(n) for n in SIGNALS if mine}
    heard = [n for n, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in heard:
        signal.signal(number, note)
    try:
        yield wish
    finally:
        for number in heard:
            signal.signal(number, before[number])
    if wish.signal is not None:
        raise KeyboardInterrupt(wish.signal)
