"""Steps are those that were recorded, and releases can be made anew."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import jax
import pytest
from releases import record
from releases.test_releases import check_arrays, check_dataset, train_further

FOLDER = Path(__file__).parent


def run(*command):
    """Runs a script of this folder without the tests' own settings of JAX and XLA."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_"))}
    done = subprocess.run(
        [sys.executable, FOLDER / command[0], *command[1:]],
        env=own,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.skipif(
    json.loads(record.STEPS.read_text())["jax"] != jax.__version__,
    reason="steps were recorded with another JAX",
)
def test_steps_are_those_that_were_recorded():
    code, told = run("record.py", "steps")
    assert code == 0, f"{told}If this is meant: python tests/releases/record.py write"


@pytest.mark.slow
def test_a_release_is_made_anew(tmp_path):
    code, told = run("make_release.py", tmp_path / "release.tar.xz")
    assert code == 0, told
    with tarfile.open(tmp_path / "release.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    for workdir, data, frames in (("ada", "lectures", 85), ("talk", "faces", 71)):
        check_dataset(tmp_path / "release" / data, frames)
        check_arrays(tmp_path / "release" / workdir)
        # Release 0.3.0's own workdir goes on with the same footage, prepared anew.
        with tarfile.open(record.RELEASE) as archive:
            archive.extractall(tmp_path / "before", filter="data")
        before = tmp_path / "before" / "release" / workdir
        train_further(before, tmp_path / "release" / data)


def test_a_demo_that_moved_is_told(tmp_path):
    metrics = json.loads(record.DEMOS.read_text())["demo"]
    report = tmp_path / "demo" / "report"
    report.mkdir(parents=True)

    def compared():
        (report / "metrics.json").write_text(json.dumps(metrics))
        return record.compare_demo(tmp_path / "demo")

    assert compared() == []
    metrics["video"]["psnr"] -= 0.2
    (line,) = compared()
    assert line.startswith("video psnr: ")
