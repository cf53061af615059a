"""Two real processes and one folder."""

import subprocess
import sys
import textwrap

import pytest
from torture.processes import ROOT, environment

from lumiere_jax.errors import UserError
from lumiere_jax.training.locks import LOCK, lock

HOLDER = textwrap.dedent("""
    import subprocess, sys
    from pathlib import Path
    from lumiere_jax.training.locks import LOCK, lock
    with lock(Path(sys.argv[1]) / LOCK, Path(sys.argv[1])):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        print(child.pid, flush=True)
        sys.stdin.read()
""")


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder, and has a child that outlives it."""
    command = [sys.executable, "-c", HOLDER, tmp_path / "run"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, env=environment(tmp_path), cwd=ROOT, text=True
    ) as process:
        assert process.stdout.readline().strip().isdecimal()
        yield process
        process.kill()


def test_the_second_run_is_refused_until_the_first_is_killed(holder, tmp_path):
    for _ in range(2):
        with pytest.raises(UserError, match="run is in use by another run: wait for it"):
            with lock(tmp_path / "run" / LOCK, tmp_path / "run"):
                pass
    holder.kill()
    holder.wait()
    with lock(tmp_path / "run" / LOCK, tmp_path / "run"):
        pass
