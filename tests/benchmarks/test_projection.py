import json
import subprocess
import sys
from pathlib import Path

import pytest

from lumiere_jax.errors import UserError

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "projection.py"


@pytest.fixture(scope="module")
def projection(script):
    return script("projection")


def result(name, batch, ms, device="GPU", dtype="float32", size=256, kind="train"):
    known = {"name": name, "pass": kind, "baseline": "eager", "device": device, "dtype": dtype}
    return {**known, "size": size, "batch": batch, "ours_ms": ms, "torch_ms": 1.0, "ratio": 1.0}


RESULTS = [
    result("vae", 1, 50.0),
    result("vae", 4, 36.0),
    result("vae", 8, 1.0, kind="forward"),
    result("vae", 8, 1.0, size=128),
    result("vae", 8, 1.0, dtype="bfloat16"),
    result("blstm", 128, 3.6, size=None),
    result("seqpix2pix", 4, 40.0),
]


def test_the_hours_are_those_of_a_calculation_by_hand(projection):
    vae, blstm, seqpix2pix = projection.measured(RESULTS, None, "float32")
    # 100,000 steps of 32 at 36 ms for 4: 800,000 · 36 ms = 28,800 s; 432,000 frames in 4 h.
    assert vae.hours(4, 1) == pytest.approx(8.0)
    assert vae.hours(100, 1) == pytest.approx(200.0)
    assert vae.hours(100, 8) == pytest.approx(200.0 / 8 / 0.9)
    assert vae.hours(10_000, 64) == pytest.approx(20_000 / 64 / 0.8)
    assert vae.epochs == pytest.approx(7.407, abs=1e-3)
    # A million steps of 128 at 3.6 ms are an hour.
    assert blstm.hours(4, 1) == pytest.approx(1.0)
    # 2.88 million triplets at 10 ms; one of 30 frames is a target, each seen 200 times.
    assert seqpix2pix.hours(4, 1) == pytest.approx(8.0)
    assert (seqpix2pix.items, seqpix2pix.epochs) == (14_400, 200.0)


@pytest.mark.slow
def test_the_page_has_each_stage_and_the_sum(projection, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    command = [sys.executable, SCRIPT, f"--results={tmp_path / 'results.json'}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [row.split(" | ") for row in said.splitlines() if row.startswith("|")]
    assert {len(row) for row in rows} == {10}
    assert rows[0][1:3] == ["4 h on 1", "4 h on 8"]
    assert [row[0].strip("| ") for row in rows[2:]] == ["vae", "blstm", "seqpix2pix", "together"]
    assert [row[1] for row in rows[2:]] == ["8.0", "1.0", "8.0", "17"]
    assert "each of 14,400 200.0 times; a step of 4 takes 40.0 ms" in said


def test_what_was_not_measured_is_one_sentence(projection):
    with pytest.raises(UserError, match="no training step of 'blstm' .* on GPU .*compare.py"):
        projection.measured(RESULTS[:2], None, "float32")
    with pytest.raises(UserError, match="'vae' .* on none .*known: none"):
        projection.measured([], None, "float32")
    with pytest.raises(UserError, match="several devices .*--device=CPU or GPU"):
        projection.measured([*RESULTS, result("vae", 1, 1.0, device="CPU")], None, "float32")


@pytest.mark.slow
def test_results_that_are_not_there_are_one_sentence(tmp_path):
    command = [sys.executable, SCRIPT, f"--results={tmp_path / 'none.json'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "none.json is not there: run benchmarks/" in done.stderr
    assert done.stderr.count("\n") == 1
