"""Graceful stops: Ctrl-C and SIGTERM as requests that a loop honours where it can save."""

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
    """A request to stop.

    Attributes:
      signal: Number of the signal that requested it; None before one arrives.
      worth_saving: Whether there is progress to save; until then signals stop at once.
    """

    signal: int | None = None
    worth_saving: bool = False


@contextmanager
def wishes_to_stop() -> Iterator[Wish]:
    """Records the first signal for the block to act on; the second raises KeyboardInterrupt.

    A recorded signal that the block does not act on is raised where the block ends. Each
    KeyboardInterrupt carries the signal's number. Only the main thread receives signals; in other
    threads the request stays empty. Ignored signals, such as Ctrl-C in a shell's background jobs,
    stay ignored.
    """
    wish = Wish()

    def note(number: int, frame: Any) -> None:
        if wish.signal is not None or not wish.worth_saving:
            if callable(before[number]):  # the program's own handler
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
