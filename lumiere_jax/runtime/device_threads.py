"""Tasks spread over the local devices, one thread per device."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import Any, TypeVar

import jax

Task = TypeVar("Task")
Tick = Callable[[], Any]

# Time that threads get to clean up when the user stops a run.
LAST_SECONDS = 2.0


class _Stopped(Exception):
    """Ends a task's thread after another task's failure or Ctrl-C."""


def spread(
    work: Callable[[Any, Task, Tick], None], tasks: Sequence[Task], variables: Any, tick: Tick
) -> None:
    """Runs `work(variables, task, tick)` for each task, with `variables` on the task's device.

    A single task, or several on a single device, run one after the other in the calling thread.

    Args:
      work: Calls `tick` at each step of its task. After the first failure of any task, `tick`
        raises in all others.
      tasks: Tasks, which idle devices take in order.
      variables: Pytree that is copied to each device.
      tick: Counts a step; never called by two threads at once.
    """
    devices = jax.local_devices()[: len(tasks)]
    if len(devices) < 2:
        for task in tasks:
            work(variables, task, tick)
        return
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    stopped, lock = threading.Event(), threading.Lock()

    def counted() -> None:
        if stopped.is_set():
            raise _Stopped
        with lock:
            tick()

    def serve(device: jax.Device) -> None:
        own = jax.device_put(variables, device)
        while not stopped.is_set():
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            work(own, task, counted)

    running = [_started(serve, device) for device in devices]
    try:
        for done in wait(running, return_when=FIRST_EXCEPTION).done:
            done.result()
    except KeyboardInterrupt:
        stopped.set()
        wait(running, LAST_SECONDS)
        raise
    except BaseException:
        stopped.set()
        wait(running)
        raise


def _started(serve: Callable[[Any], None], device: Any) -> Future[None]:
    """Runs `serve` in a thread and returns a future of its completion."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            serve(device)
            future.set_result(None)
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=f"device {device}").start()
    return future
