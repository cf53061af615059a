"""What accelerator.py makes of its parts, and that a part would see what is wrong."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from lumiere_jax.inputs.synthetic import narration


@pytest.fixture
def accelerator(script, tmp_path, monkeypatch):
    """The script, whose parts are in a folder of their own."""
    module = script("accelerator")
    monkeypatch.setattr(module, "HERE", tmp_path)
    return module


def measured(accelerator, tmp_path, program, limit=60.0):
    """The rows of a part."""
    (tmp_path / "part.py").write_text(program)
    return list(accelerator.measure("part", limit, False, tmp_path / "out.json", str(tmp_path)))


def test_rows_come_from_a_part_that_ends(accelerator, tmp_path, capsys):
    rows = measured(accelerator, tmp_path, 'print("loading"); print(\'{"ms": 2}\')')
    assert rows[0] == {"ms": 2} and rows[1]["ended"] == "done" and "error" not in rows[1]
    assert "loading" in capsys.readouterr().out


def test_what_a_part_printed_stays_when_it_fails_or_its_time_is_over(accelerator, tmp_path):
    first = "import sys, time; print('{\"ms\": 2}', flush=True); "
    rows = measured(accelerator, tmp_path, first + "sys.exit('no such card')")
    assert rows[0] == {"ms": 2}
    assert rows[1]["ended"] == "failed" and "no such card" in rows[1]["error"]
    rows = measured(accelerator, tmp_path, first + "time.sleep(600)", limit=2.0)
    assert rows[0] == {"ms": 2} and rows[1]["ended"] == "after 2 s"


def test_an_unknown_part_is_one_sentence(script):
    command = [sys.executable, script("accelerator").__file__, "--parts=card,colour"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no colour; choose from right, card, beside" in done.stderr


def test_a_deviation_counts_as_right_up_to_its_tolerance(script):
    right = script("right")
    wanted = {"first loss": np.float32(2), "second loss": np.float32(1)}

    def row(first, second):
        found = {"first loss": np.float32(first), "second loss": np.float32(second)}
        (one,) = right.compared("step", "a stage", lambda dtype: found, wanted)
        return one

    assert row(2.001, 1.01)["right"] and row(2.001, 1.01)["deviation"] == pytest.approx(5e-4, 0.01)
    assert not row(2.01, 1)["right"]
    assert not row(2, 1.1)["right"]
    assert not row(np.nan, 1)["right"]
    with pytest.raises(RuntimeError, match="one side alone has second kl"):
        right.deviation({"second kl": np.float32(1)}, {})


def test_the_reference_of_a_cpu_takes_the_forms_of_accelerators(script, monkeypatch):
    right = script("right")
    x, kernel = np.ones((1, 8, 8, 4), np.float32), np.ones((4, 4, 4, 4), np.float32)

    def forms(dtype):
        from lumiere_jax.convolutions import conv4x4_down

        lowered = right.jax.jit(lambda x: conv4x4_down(x, kernel)).lower(x).as_text()
        return {"convolutions": np.float32(lowered.count("stablehlo.convolution"))}

    assert right.references({("step", "a"): forms})["step", "a"]["convolutions"] == 1
    (row,) = right.compared("step", "a", forms, {"convolutions": np.float32(1)})
    assert not row["right"]


def test_rounds_go_from_side_to_side(script):
    beside, order = script("beside"), []

    class Side:
        def __init__(self, name, times, facts):
            self.name, self.times, self.answers = name, iter(times), [[facts]]

        def ask(self, **what):
            order.append(self.name)
            self.answers.append({"ms": next(self.times), "peak_bytes": 3e9})

        def answer(self):
            return self.answers.pop(0)

    case = beside.Case(name="vae", kind="train", dtype="float32", size=64, batch=1)
    sides = {
        "ours": Side("ours", [4, 2, 3], {"compile_s": 7.0}),
        "eager": Side("eager", [9, 6, 60], {"gflop": 5.0}),
    }
    (row,) = beside.rows([case], sides, 3)
    assert order == ["ours", "eager"] * 3
    assert (row["ours_ms"], row["eager_ms"], row["ratio_eager"]) == (3, 9, 3)
    assert (row["ours_compile_s"], row["gflop"], row["ours_peak_gb"]) == (7, 5, 3)
    broken = {"ours": Side("ours", [4], {}), "eager": Side("eager", [], {"error": "no room"})}
    (row,) = beside.rows([case], broken, 1)
    assert row["ours_ms"] == 4 and row["eager_error"] == "no room" and "ratio_eager" not in row


def test_speech_is_the_beginning_of_the_drawn_lecturers_narrations(script):
    folder = script("cases").SPEECH
    for name, seconds in (("first", 40), ("second", 12)):
        rate, samples = wavfile.read(folder / f"{name}.wav")
        whole, _ = soundfile.read(narration(name), dtype="int16")
        assert rate == 16_000 and len(samples) == seconds * rate
        np.testing.assert_array_equal(samples, whole[: len(samples)])


def test_the_tables_have_the_card_its_versions_and_each_part(script, tmp_path):
    case = {"name": "vae", "pass": "train", "size": 256, "batch": 8, "dtype": "bfloat16"}
    results = {
        "device": "A card",
        "date": "2026-11-28",
        "short": False,
        "versions": {"jax": "0.11.2"},
        "parts": {
            "right": {
                "ended": "done",
                "rows": [
                    {"kind": "step", "what": "vae", "precision": p, "deviation": d, "right": r}
                    for p, d, r in (("float32", 1e-6, True), ("bfloat16", 0.5, False))
                ],
            },
            "card": {"ended": "done", "rows": [{"rate": "bfloat16", "size": 8, "tflops": 800.0}]},
            "beside": {
                "ended": "after 180 s",
                "rows": [
                    {**case, "ours_ms": 2.0, "ratio_eager": 1.7, "gflop": 400.0},
                    {**case, "ours_ms": 9.0, "ratio_compiled": 1.1},
                    {"slowest": "vae train", "size": 256, "batch": 8, "dtype": "bfloat16"}
                    | {"operations": [{"operation": "copy.7", "ms": 1.0, "share": 0.5}]},
                ],
            },
            "speaking": {
                "ended": "done",
                "rows": [{"what": "live", "dtype": "float32", "size": 256, "median_ms": 5.0}
                         | {"late_ms": 7.25}],
            },
        },
    }  # fmt: skip
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    command = [sys.executable, script("table").__file__, path]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.startswith("A card, 2026-11-28: jax 0.11.2.\n")
    assert "`beside` ended after 180 s." in told
    assert "| step vae | 1e-06 | – | 5e-01 (**not right**) |" in told
    # 400 GFLOP in 2 ms are 200 TFLOP/s of 800.
    assert "| vae train | 256 px, 8 | 2 | 1.7 | 1.1 | 25% | – / – | – |" in told
    assert "Longest in vae train (256 px, 8, bfloat16): `copy.7` 50%." in told
    assert "| live, float32 | 256 px | – | – | 5, 7.25 |" in told
