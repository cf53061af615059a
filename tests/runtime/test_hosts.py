"""What is asked of the launcher's environment, and how a failure of one process ends the others;
that they train together is in workflows."""

import os
import socket
import subprocess
import sys

import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.runtime import hosts


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No launcher, whatever these tests run under."""
    for name in (*hosts.COUNTS, hosts.INDEX, hosts.ADDRESS, "TPU_WORKER_HOSTNAMES"):
        monkeypatch.delenv(name, raising=False)


SALLOC = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}


@pytest.mark.parametrize(
    "environment, several",
    [
        ({}, False),
        (SALLOC, False),
        ({**SALLOC, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, False),
        ({**SALLOC, "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"TPU_WORKER_HOSTNAMES": "host0"}, False),
        ({"TPU_WORKER_HOSTNAMES": "host0,host1"}, True),
        ({"JAX_NUM_PROCESSES": "2"}, True),
    ],
)
def test_only_a_step_of_several_tasks_is_a_run_on_several_hosts(monkeypatch, environment, several):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert hosts.launched() is several


def test_a_run_that_is_alone_or_wants_to_be_joins_nothing(monkeypatch):
    def never(**_):
        pytest.fail("waits for other processes")

    monkeypatch.setattr(hosts.jax.distributed, "initialize", never)
    hosts.start(None)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    hosts.start(False)


@pytest.mark.parametrize(
    "environment, sentence",
    [
        ({}, "--multihost finds no launcher .*srun .*set JAX_COORDINATOR_ADDRESS=HOST:PORT"),
        ({"JAX_COORDINATOR_ADDRESS": "localhost:1", "JAX_NUM_PROCESSES": "2"}, "finds no launch"),
        ({"JAX_NUM_PROCESSES": "two"}, "JAX_NUM_PROCESSES=two: this is not a whole number"),
    ],
)
def test_processes_that_nobody_introduces_are_told_how(monkeypatch, environment, sentence):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # JAX would look for a cluster in the rest of this machine's environment.
    monkeypatch.setattr(hosts.jax.config, "update", lambda *_: None)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr("jax._src.xla_bridge.backends_are_initialized", lambda: False)
    with pytest.raises(UserError, match=sentence):
        hosts.start(True)


def test_one_process_is_first_and_agrees_with_itself():
    assert hosts.is_first() and hosts.first_says(True) and not hosts.first_says(False)
    with pytest.raises(UserError, match="mine"), hosts.together():
        raise UserError("mine")


ONE_FAILS = """
from lumiere_jax.errors import UserError
from lumiere_jax.runtime import hosts
hosts.start(True)
for error in (UserError("mine"), KeyboardInterrupt(15)):
    try:
        with hosts.together():
            if not hosts.is_first():
                raise error
    except BaseException as raised:
        print(type(raised).__name__, raised)
"""


@pytest.mark.slow
def test_where_one_process_fails_or_is_stopped_none_goes_on_without_it():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    shared = {
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
        "JAX_NUM_PROCESSES": "2",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_FAILS],
            env={**os.environ, **shared, "JAX_PROCESS_ID": str(index)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    first, second = (
        [line for line in process.communicate(timeout=300)[0].splitlines() if "Gloo" not in line]
        for process in processes
    )
    assert first == ["UserError process 1 of 2 stopped; it says why."] * 2
    assert second == ["UserError mine", "KeyboardInterrupt 15"]
