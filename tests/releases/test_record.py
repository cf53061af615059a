"""Steps are those that were recorded, and releases can be made anew."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import jax
import pytest

FOLDER = Path(__file__).parent


def run(*command):
    """What a script of this folder prints, without the tests' own flags for XLA."""
    environment = {name: x for name, x in os.environ.items() if name != "XLA_FLAGS"}
    return subprocess.run(
        [sys.executable, FOLDER / command[0], *command[1:]],
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(
    json.loads((FOLDER / "steps.json").read_text())["jax"] != jax.__version__,
    reason="steps were recorded with another JAX",
)
def test_steps_are_those_that_were_recorded():
    done = run("record.py", "steps")
    assert done.returncode == 0, (
        f"{done.stdout}{done.stderr[-2000:]}If this is meant: python tests/releases/record.py write"
    )


@pytest.mark.slow
def test_a_release_is_made_anew(tmp_path):
    done = run("make_release.py", tmp_path / "release.tar.xz")
    assert done.returncode == 0, done.stderr[-2000:]
    found, wanted = (
        sorted(entry.name for entry in tarfile.open(path) if "/checkpoints/" not in entry.name)
        for path in (tmp_path / "release.tar.xz", FOLDER / "release_0_3_0.tar.xz")
    )
    assert found == wanted


def test_a_demo_that_moved_is_told(tmp_path):
    metrics = json.loads((FOLDER / "demos.json").read_text())["demo"]
    (tmp_path / "demo" / "report").mkdir(parents=True)

    def compared():
        report = tmp_path / "demo" / "report" / "metrics.json"
        report.write_text(json.dumps(metrics))
        done = run("record.py", "demo", tmp_path / "demo")
        return done.returncode, done.stdout

    assert compared() == (0, "all as it was recorded\n")
    metrics["video"]["psnr"] -= 0.2
    code, told = compared()
    assert code == 1 and told.startswith("video psnr: ")
