"""Parallel tasks in worker processes, one core each, under one progress bar."""

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
"""A function of a task's items and `tick`; it calls `tick` with the number of finished pictures."""
Run = Callable[[Work, Iterable[tuple]], list]
"""Maps a `Work` over tasks and returns its results in order."""
POLL_SECONDS = 0.5


def cores() -> list[int]:
    """Returns the indices of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def one_by_one(work: Work, tasks: Iterable[tuple]) -> list:
    """Runs the tasks in this process, without a progress bar."""
    return [work(*task, lambda _: None) for task in tasks]


@contextmanager
def side_by_side(workers: int, ticks: int) -> Iterator[Run]:
    """Yields a function that runs tasks in worker processes, each on its own core.

    Args:
      workers: Number of processes.
      ticks: Length of the progress bar: the pictures that all tasks together report.
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
            # After a task's error, or Ctrl-C, do not wait for the others.
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
    """Initializes a worker and pins it to one core.

    On one core, libraries start one thread instead of one per core. The worker ends at Ctrl-C, and
    when its parent has died for whatever reason.
    """
    global _counter
    _counter = counter
    # Drawing and measuring frames use JAX too, but the accelerator belongs to the parent.
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
