"""Two real processes and one folder."""

import subprocess
import sys
import textwrap

import pytest
from torture.locks import not_begun
from torture.processes import ROOT, environment, kill, start

from lumiere_jax.errors import UserError
from lumiere_jax.runtime.locks import LOCK, lock

HOLDER = textwrap.dedent("""
    import subprocess, sys
    from pathlib import Path
    from lumiere_jax.runtime.locks import LOCK, lock
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


@pytest.mark.slow
def test_the_second_run_is_refused_until_the_first_is_killed(holder, tmp_path):
    for _ in range(2):
        with pytest.raises(UserError, match="run is in use by another run: wait for it"):
            with lock(tmp_path / "run" / LOCK, tmp_path / "run"):
                pass
    holder.kill()
    holder.wait()
    with lock(tmp_path / "run" / LOCK, tmp_path / "run"):
        pass


@pytest.mark.parametrize(
    "program, wrong",
    [
        ("print('vae: steps 3 to 9', flush=True); time.sleep(100)", None),
        ("print('run is in use by another run: wait for it')", "said: 'run is in use"),
        ("", "exit 0, and said: ''"),
        ("raise SystemExit(1)", "exit 1, and said: ''"),
        ("time.sleep(100)", "it runs on, and said: ''"),
    ],
)
def test_only_a_run_that_says_that_it_works_has_taken_over(tmp_path, program, wrong):
    (tmp_path / "run.py").write_text(f"import time\n{program}")
    run = start(tmp_path, str(tmp_path / "run.py"))
    try:
        found = not_begun(run, seconds=1 if "runs on" in (wrong or "") else 300)
    finally:
        kill(run)
    assert found is None if wrong is None else wrong in found
