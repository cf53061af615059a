"""Clips side by side in processes of their own, under one bar that counts all their frames."""

import functools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lumiere_jax.inputs.poses import Tick

Work = Callable[[Any, Path, Tick], None]
POLL_SECONDS = 0.5


def each(work: Work, tasks: list[tuple[Any, Path]], ticks: int, workers: int) -> None:
    """Runs `work(item, path, tick)` for each task, in processes where that helps.

    `ticks` is how often all of them together will call `tick`, which moves the bar.
    """
    with tqdm(total=ticks, desc="preparing", unit="picture", dynamic_ncols=True) as bar:
        if workers < 2 or len(tasks) < 2:
            for item, path in tasks:
                work(item, path, bar.update)
            return
        context = multiprocessing.get_context("spawn")
        counter = context.Value("q", 0)
        with ProcessPoolExecutor(
            min(workers, len(tasks)), context, initializer=_serve, initargs=(counter,)
        ) as pool:
            waiting = {pool.submit(_counted, work, item, path) for item, path in tasks}
            try:
                while waiting:
                    done, waiting = wait(waiting, POLL_SECONDS, FIRST_EXCEPTION)
                    bar.update(counter.value - bar.n)
                    for future in done:
                        future.result()
            except BaseException:
                # A mistake in one clip, or Ctrl-C, does not wait for the others.
                for process in multiprocessing.active_children():
                    process.terminate()
                pool.shutdown(cancel_futures=True)
                raise


_counter: Any = None


def _counted(work: Work, item: Any, path: Path) -> None:
    work(item, path, functools.partial(_add_one, _counter))


def _add_one(counter: Any) -> None:
    with counter.get_lock():
        counter.value += 1


def _serve(counter: Any) -> None:
    """A worker stops at Ctrl-C, and when its parent is gone, however that was killed."""
    global _counter
    _counter = counter
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
