"""An iterator that computes its next items in a thread."""

import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def made_ahead(items: Iterable[T], count: int) -> Generator[T]:
    """Yields the same items, computed ahead in a thread.

    At most `count` items wait. An exception of `items` is raised here, after the items before it.
    Close this iterator (`contextlib.closing`): the thread then ends after its current item, which
    a program waits for before it exits.
    """
    made: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    room, closed = threading.Semaphore(count - 1), threading.Event()
    end = StopIteration()

    def make() -> None:
        source = iter(items)
        try:
            while not closed.is_set() and (item := next(source, end)) is not end:
                made.put((item, None))
                room.acquire()
            made.put((None, end))
        except BaseException as error:
            made.put((None, error))
        finally:
            if closing := getattr(source, "close", None):
                closing()

    threading.Thread(target=make, name="made ahead").start()
    try:
        while True:
            item, error = made.get()
            if error is end:
                return
            if error is not None:
                raise error
            room.release()
            yield item
    finally:
        closed.set()
        room.release()
