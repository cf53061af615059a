"""Tasks side by side in processes of their own, a core for each, under one bar."""

import functools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import jax
from tqdm import tqdm

Work = Callable[..., Any]
"""Called with a task's items and `tick`, which is called with the pictures that were done."""
Run = Callable[[Work, Iterable[tuple]], list]
"""Does a work for each task, and gives what it returned in the tasks' order."""
POLL_SECONDS = 0.5


def cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def one_by_one(work: Work, tasks: Iterable[tuple]) -> list:
    """Does the work here, without a bar."""
    return [work(*task, lambda _: None) for task in tasks]


@contextmanager
def side_by_side(workers: int, ticks: int) -> Iterator[Run]:
    """Processes that do tasks, one task at a time and each on a core of its own.

    `ticks` is how many pictures all tasks together will tell of, which moves the bar.
    """
    context = multiprocessing.get_context("spawn")
    counter, number = context.Value("q", 0), context.Value("q", 0)
    with (
        tqdm(total=ticks, desc="preparing", unit="picture", dynamic_ncols=True) as bar,
        ProcessPoolExecutor(
            workers, context, initializer=_serve, initargs=(counter, number, cores())
        ) as pool,
    ):

        def run(work: Work, tasks: Iterable[tuple]) -> list:
            futures = [pool.submit(_counted, work, task) for task in tasks]
            waiting = set(futures)
            while waiting:
                done, waiting = wait(waiting, POLL_SECONDS, FIRST_EXCEPTION)
                bar.update(counter.value - bar.n)
                for future in done:
                    future.result()
            return [future.result() for future in futures]

        try:
            yield run
        except BaseException:
            # A mistake in one task, or Ctrl-C, does not wait for the others.
            for process in multiprocessing.active_children():
                process.terminate()
            pool.shutdown(cancel_futures=True)
            raise


_counter: Any = None


def _counted(work: Work, task: tuple) -> Any:
    return work(*task, functools.partial(_add, _counter))


def _add(counter: Any, pictures: int) -> None:
    with counter.get_lock():
        counter.value += pictures


def _serve(counter: Any, number: Any, allowed: list[int]) -> None:
    """A worker, and what it starts, keeps to its core: libraries then start one thread where they
    would start one for each core. It stops at Ctrl-C, and when its parent is gone, however that was
    killed."""
    global _counter
    _counter = counter
    # What draws and measures frames uses JAX too, and an accelerator is the parent's.
    jax.config.update("jax_platforms", "cpu")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(os, "sched_setaffinity"):
        with number.get_lock():
            os.sched_setaffinity(0, {allowed[number.value % len(allowed)]})
            number.value += 1
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
