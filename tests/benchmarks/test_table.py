import subprocess
import sys

import pytest


def test_a_line_has_both_dtypes_and_both_baselines_and_dashes_for_what_was_not_run(script):
    table = script("table")
    case = {"name": "vae", "pass": "train", "size": 256, "batch": 4}
    results = [
        {**case, "dtype": "float32", "baseline": "eager", "ours_ms": 2519.7, "ratio": 1.104},
        {**case, "dtype": "float32", "baseline": "compiled", "ours_ms": 2519.7, "ratio": 0.8},
        {**case, "dtype": "bfloat16", "baseline": "eager", "ours_ms": 645.0, "ratio": 0.47},
    ]
    assert table.rows(results) == [
        "| vae train | 256 px, 4 | 2520 | 1.10 | 0.80 | 645 | 0.47 | – |"
    ]


@pytest.mark.parametrize("text", [None, "no JSON", "{}", "[1]"])
def test_what_holds_no_results_is_one_sentence(script, tmp_path, text):
    path = tmp_path / "results.json"
    if text is not None:
        path.write_text(text)
    command = [sys.executable, script("table").__file__, path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"{path} holds no results: name a file of compare.py or accelerator.py.\n"
