import threading

import jax
import jax.numpy as jnp
import pytest

from lumiere_jax.runtime.device_threads import spread


def test_every_task_is_done_once_with_the_variables_on_its_own_device():
    seen, together = [], threading.Barrier(4)

    def work(variables, task, tick):
        (device,) = variables["w"].devices()
        if task < 4:
            together.wait(30)  # or they would not run at the same time
        seen.append((task, device))
        tick()

    ticks = []
    variables = {"w": jnp.arange(3.0)}
    spread(work, range(4), variables, lambda: ticks.append(1))
    assert sorted(task for task, _ in seen) == list(range(4)) and len(ticks) == 4
    assert {device for _, device in seen} == set(jax.local_devices()[:4])


def test_more_tasks_than_devices_wait_for_their_turn():
    tasks = list(range(3 * len(jax.local_devices())))
    done = []
    spread(lambda _, task, tick: done.append(task), tasks, {}, lambda: None)
    assert sorted(done) == tasks


def test_a_single_task_runs_here_with_the_variables_as_they_are():
    given = {"w": jnp.zeros(1)}

    def work(variables, task, tick):
        assert threading.current_thread() is threading.main_thread()
        assert variables is given

    spread(work, ["one"], given, lambda: None)


def test_one_failure_ends_all_tasks_at_their_next_step():
    begun, cleaned = threading.Barrier(2), threading.Event()

    def work(_, task, tick):
        begun.wait(30)
        if task == "bad":
            raise ZeroDivisionError
        try:
            while True:
                tick()
        finally:
            cleaned.set()

    with pytest.raises(ZeroDivisionError):
        spread(work, ["bad", "endless"], {}, lambda: None)
    assert cleaned.is_set()
