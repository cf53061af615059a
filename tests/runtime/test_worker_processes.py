import os
import subprocess
import sys
import time

import jax
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.runtime.worker_processes import cores, side_by_side


def work(number, seconds, tick):
    """Ticks `number` times after a while; its number, its process and its cores."""
    if number < 0:
        raise UserError(f"{number} is no number of frames")
    time.sleep(seconds)
    tick(number)
    return number, os.getpid(), cores()


def test_every_task_is_done_on_a_core_of_its_own_and_the_bar_is_full(capsys):
    with side_by_side(2, 15) as run:
        first = run(work, [(6, 0.4), (4, 0), (2, 0)])
        second = run(work, [(1, 0.4), (1, 0.4), (1, 0)])
    assert "15/15" in capsys.readouterr().err
    assert [number for number, _, _ in first] == [6, 4, 2], "in the tasks' order"
    processes = {process: allowed for _, process, allowed in first + second}
    assert os.getpid() not in processes and len(processes) == 2, "workers are kept"
    if hasattr(os, "sched_setaffinity"):
        assert all(len(allowed) == 1 for allowed in processes.values())
        assert len({tuple(allowed) for allowed in processes.values()}) == min(2, len(cores()))


def test_a_mistake_in_one_task_ends_all_with_its_sentence():
    begin = time.monotonic()
    with pytest.raises(UserError, match="-1 is no number of frames"), side_by_side(2, 4) as run:
        run(work, [(-1, 0), (2, 60)])
    assert time.monotonic() - begin < 30


def platforms(tick):
    """What JAX may take, and takes, in a worker."""
    return jax.config.jax_platforms, jax.default_backend()


def test_workers_leave_accelerators_to_their_parent(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cuda,cpu")
    with side_by_side(1, 1) as run:
        assert run(platforms, [()]) == [("cpu", "cpu")]


PARENT = """
import sys
from lumiere_jax.runtime.worker_processes import side_by_side
sys.path.insert(0, sys.argv[1])
import sleeper
if __name__ == "__main__":
    with side_by_side(2, 1) as run:
        run(sleeper.sleep, [(sys.argv[1], 0), (sys.argv[1], 1)])
"""
SLEEPER = """
import os, pathlib, time
def sleep(folder, number, tick):
    (pathlib.Path(folder) / f"pid-{number}").write_text(str(os.getpid()))
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_workers_end_with_their_parent(tmp_path, end):
    """However it ends: killed outright, it cannot tidy up."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), str(tmp_path)])}
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        notes = [tmp_path / "pid-0", tmp_path / "pid-1"]
        wait_until(lambda: all(note.exists() and note.read_text() for note in notes), 60)
        getattr(parent, end)()
        parent.wait(10)
        wait_until(lambda: not any(lives(int(note.read_text())) for note in notes), 10)
    finally:
        parent.kill()


def lives(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as file:  # one that nobody has waited for does not live
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(done, seconds):
    for _ in range(int(seconds / 0.1)):
        if done():
            return
        time.sleep(0.1)
    pytest.fail("it took too long")
