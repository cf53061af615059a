"""Two real processes are one run, and what they leave goes on in one process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lumiere_jax.commands.train import train
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows import previews

ROOT = Path(__file__).parents[2]
# A stage that ends on two processes, one in which they are stopped, with calls of two steps, and
# one that follows on two processes again.
STEPS = {"vae": 3, "blstm": 400, "seqpix2pix": 2}
FIELDS = {"blstm.dispatch": 2, "seqpix2pix.batch": 2}
FIELDS |= {f"{stage}.steps": steps for stage, steps in STEPS.items()}


def configured(config):
    for path, value in FIELDS.items():
        stage, field = path.split(".")
        setattr(getattr(config, stage), field, value)
    return config


def logged(folder):
    """The last step that is in a stage's log; 0 while the file is missing or still empty."""
    rows = read_log(folder) if (folder / "log.jsonl").exists() else []
    return rows[-1]["step"] if rows else 0


def start(index, port, *flags):
    """One of two processes of train.py, each with one device of its own."""
    environment = {
        **os.environ,
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
        "JAX_NUM_PROCESSES": "2",
        "JAX_PROCESS_ID": str(index),
    }
    preset = ROOT / "configs" / "lumierenet.py"
    fields = [f"--config.{path}={value}" for path, value in FIELDS.items()]
    command = [sys.executable, ROOT / "train.py", f"--config={preset}:tiny", *fields, *flags]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def read_log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_processes_are_stopped_and_one_goes_on_to_the_same_losses(
    drawn, tiny, tmp_path, free_port, monkeypatch
):
    """One of them is asked to stop, and both do, at a step that both save."""
    flags = (f"--data={drawn}", f"--workdir={tmp_path / 'parts'}")
    processes = [start(index, free_port, *flags) for index in range(2)]
    stage = tmp_path / "parts" / "blstm"
    while logged(stage) < 8 and all(process.poll() is None for process in processes):
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=300) for process in processes]
    for process, (_, errors) in zip(processes, said, strict=True):
        assert process.returncode == 128 + signal.SIGTERM, errors
        assert "Interrupted: what was saved stays" in errors and "Traceback" not in errors
    # The first alone says what is done; both had a half of every batch.
    assert "blstm: steps 1 to 400, batch 4 on 2 cpu device(s)" in said[0][0]
    assert "steps" not in said[1][0] + said[1][1].replace("[Gloo]", "")
    stopped = checkpoint.latest_step(stage)
    assert 8 <= stopped < STEPS["blstm"] and f"blstm: step {stopped} is saved" in said[0][0]

    monkeypatch.setattr(previews, "SHORTEST", 1_000)  # clips take longer than all of this
    for name, stages in (("parts", ("vae", "blstm")), ("whole", STEPS)):
        for stage in stages:
            train(config=configured(tiny()), data=drawn, workdir=tmp_path / name, stage=stage)
    processes = [start(index, free_port, *flags, "--stage=seqpix2pix") for index in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    for stage, steps in STEPS.items():
        parts, whole = (read_log(tmp_path / name / stage) for name in ("parts", "whole"))
        assert parts[-1]["step"] == steps
        for one, other in zip(parts, whole, strict=True):
            assert one.keys() == other.keys()
            for name in one:
                np.testing.assert_allclose(one[name], other[name], rtol=1e-3, err_msg=name)
