"""What accelerator.py makes of its parts, and that a part would see what is wrong."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from lumiere_jax.drawn.lecturer import narration


@pytest.fixture
def measured(script, tmp_path):
    """The rows of a program that is run as a part."""
    module = script("accelerator")

    def rows(program, limit=60.0):
        (tmp_path / "part.py").write_text(program)
        return list(module.measure([str(tmp_path / "part.py")], limit, module.environment(True)))

    return rows


def test_rows_come_from_a_part_that_ends(measured, capsys):
    rows = measured('print("loading"); print(0); print(\'{"ms": 2}\')')
    assert rows[0] == {"ms": 2} and rows[1]["ended"] == "done" and "error" not in rows[1]
    assert "loading" in capsys.readouterr().out


def test_what_a_part_printed_stays_when_it_fails_or_its_time_is_over(measured):
    first = "import sys, time; print('{\"ms\": 2}', flush=True); "
    rows = measured(first + "sys.exit('no such card')")
    assert rows[0] == {"ms": 2}
    assert rows[1]["ended"] == "failed" and "no such card" in rows[1]["error"]
    rows = measured(first + "time.sleep(600)", limit=2.0)
    assert rows[0] == {"ms": 2} and rows[1]["ended"] == "after 2 s"


@pytest.mark.slow
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_who_stops_it_leaves_no_process_and_results_that_can_be_read(
    script, tmp_path, number, code
):
    out = tmp_path / "results.json"
    marked = {**os.environ, "MARK": str(tmp_path)}
    command = [sys.executable, script("accelerator").__file__, "--short", f"--out={out}"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=marked)
    while not out.exists() or "right" not in json.loads(out.read_text())["parts"]:
        time.sleep(0.1)
        assert run.poll() is None
    time.sleep(1)
    run.send_signal(number)
    _, said = run.communicate(timeout=30)
    assert run.returncode == code and f"what was measured is in {out}" in said
    assert "Traceback" not in said
    assert json.loads(out.read_text())["parts"]["right"]["ended"] == "before its time"
    left = [p for p in Path("/proc").glob("[0-9]*") if f"MARK={tmp_path}" in environment_of(p)]
    assert left == []


def environment_of(process):
    try:
        return (process / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def test_parts_that_are_measured_later_join_those_of_the_same_device(script, tmp_path):
    begun, out = script("accelerator").begun, tmp_path / "results.json"
    facts = {"device": "a card", "versions": {"jax": "1"}}
    assert begun(out, facts)["parts"] == {}
    out.write_text(json.dumps({**begun(out, facts), "parts": {"card": {"rows": [1]}}}))
    assert begun(out, facts)["parts"] == {"card": {"rows": [1]}}
    assert begun(out, facts | {"versions": {"jax": "2"}})["parts"] == {}


def test_whether_all_is_good(script):
    is_good = script("accelerator").is_good
    right, wrong, broken = {"right": True}, {"right": False}, {"ours_error": "no room"}
    assert is_good("right", {"ended": "done", "rows": [right]})
    assert not is_good("right", {"ended": "done", "rows": [right, wrong]})
    assert not is_good("right", {"ended": "after 60 s", "rows": [right]})
    assert is_good("beside", {"ended": "after 60 s", "rows": [{"ours_ms": 1.0}]})
    assert not is_good("beside", {"ended": "done", "rows": [broken]})
    assert not is_good("card", {"ended": "failed", "rows": []})


@pytest.mark.parametrize("name", ["", "file/results.json"])
def test_results_that_cannot_be_written_are_one_sentence_before_anything_is_measured(
    script, tmp_path, name
):
    (tmp_path / "file").write_text("")
    command = [sys.executable, script("accelerator").__file__, "--short", "--parts=card"]
    done = subprocess.run([*command, f"--out={tmp_path / name}"], capture_output=True, text=True)
    assert done.returncode == 2 and "card: at most" not in done.stdout
    assert f"--out={tmp_path / name} cannot be written: " in done.stderr.splitlines()[-1]


def test_an_unknown_part_is_one_sentence(script):
    command = [sys.executable, script("accelerator").__file__, "--parts=card,colour"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no 'colour'; choose from right, card, beside" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "platforms, message",
    [("cpu", "JAX finds no accelerator here: "), ("abacus", "JAX does not start here: ")],
)
def test_without_an_accelerator_nothing_is_measured(script, tmp_path, platforms, message):
    out, own = tmp_path / "results.json", {**os.environ, "JAX_PLATFORMS": platforms}
    command = [sys.executable, script("accelerator").__file__, f"--out={out}"]
    done = subprocess.run(command, capture_output=True, text=True, env=own)
    assert done.returncode == 2 and f"error: {message}" in done.stderr and not out.exists()


def test_a_deviation_counts_as_right_up_to_its_tolerance(script):
    right = script("right")
    wanted = {"first loss": np.float32(2), "second loss": np.float32(1)}

    def row(first, second):
        found = {"first loss": np.float32(first), "second loss": np.float32(second)}
        return right.compared(("step", "a stage"), "float32", lambda dtype: found, wanted)

    assert row(2.001, 1.01)["right"] and row(2.001, 1.01)["deviation"] == pytest.approx(5e-4, 0.01)
    assert not row(2.01, 1)["right"]
    assert not row(2, 1.1)["right"]
    assert not row(np.nan, 1)["right"]
    with pytest.raises(RuntimeError, match="one side alone has second kl"):
        right.deviation({"second kl": np.float32(1)}, {})


def test_a_computation_that_does_not_work_is_a_row_beside_the_others(script):
    right = script("right")

    def broken(dtype):
        raise ValueError("no such layer")

    every = {("step", "a"): broken, ("step", "b"): lambda dtype: {"first x": np.float32(1)}}
    known = right.references(every)
    a, b = (right.compared(key, "float32", every[key], known[key]) for key in every)
    assert not a["right"] and a["error"] == "ValueError: no such layer" and b["right"]


def test_the_reference_of_a_cpu_takes_the_forms_of_accelerators(script, monkeypatch):
    right = script("right")
    x, kernel = np.ones((1, 8, 8, 4), np.float32), np.ones((4, 4, 4, 4), np.float32)

    def forms(dtype):
        from lumiere_jax.convolutions import conv4x4_down

        lowered = right.jax.jit(lambda x: conv4x4_down(x, kernel)).lower(x).as_text()
        return {"convolutions": np.float32(lowered.count("stablehlo.convolution"))}

    assert right.references({("step", "a"): forms})["step", "a"]["convolutions"] == 1
    wanted = {"convolutions": np.float32(1)}
    assert not right.compared(("step", "a"), "float32", forms, wanted)["right"]


CASE = {"name": "vae", "kind": "train", "dtype": "float32", "size": 64, "batch": 1}


class Side:
    """A side that answers with these times, and then ends."""

    def __init__(self, name, order, times, **facts):
        self.name, self.order, self.times, self.facts = name, order, iter(times), facts

    def ask(self, **what):
        self.asked = what
        self.order += [self.name] * ("round" in what)

    def answer(self):
        if "build" in self.asked:
            return [{"platform": "cpu", **self.facts}]
        ms = next(self.times, None)
        if ms is None:
            raise RuntimeError("ended")
        return {"ms": ms, "peak_bytes": 3e9}


def test_rounds_go_from_side_to_side(script):
    beside, order = script("beside"), []
    sides = {
        "ours": Side("ours", order, [4, 2, 3], compile_s=7.0, gflop=5.0),
        "eager": Side("eager", order, [9, 6, 60]),
    }
    (row,) = beside.rows([beside.Case(**CASE)], sides, 3)
    assert order == ["ours", "eager"] * 3
    assert (row["ours_ms"], row["eager_ms"], row["ratio_eager"]) == (3, 9, 3)
    assert (row["ours_compile_s"], row["gflop"], row["ours_peak_gb"]) == (7, 5, 3)


@pytest.mark.parametrize(
    "times, facts, error",
    [
        ([], {"error": "no room"}, "no room"),
        ([], {"platform": "gpu"}, "it has no cpu"),
        ([9], {}, "the process has ended"),
    ],
)
def test_ours_is_measured_where_the_other_side_does_not_work(script, times, facts, error):
    beside, order = script("beside"), []
    sides = {"ours": Side("ours", order, [4, 2]), "eager": Side("eager", order, times, **facts)}
    (row,) = beside.rows([beside.Case(**CASE)], sides, 2)
    assert row["ours_ms"] == 3 and row["eager_error"] == error
    assert "ratio_eager" not in row and "eager_ms" not in row


def test_a_process_builds_cases_anew_and_outlives_those_that_do_not_work(script, tmp_path):
    sides = script("sides")
    (tmp_path / "own.py").write_text(
        f"import sys; sys.path.insert(0, {str(sides.HERE)!r})\n"
        "import weakref\n"
        "from rounds import Built, serve_many\n"
        "alive = weakref.WeakSet()\n"
        "class Run:\n"
        "    def __init__(self, case): self.case = case; alive.add(self)\n"
        "    def __call__(self, steps):\n"
        "        if self.case['broken']: raise MemoryError('no room')\n"
        "def build(case): return Built(Run(case), 1, {'alive': len(alive)})\n"
        "serve_many(build, trace=lambda run: run())\n"
    )

    def asked(**what):
        side.ask(**what)
        return side.answer()

    side = sides.Side(str(tmp_path / "own.py"))
    good, broken = {"broken": False}, {"broken": True}
    assert asked(build=[good, broken]) == [{"alive": 1}, {"alive": 2}]
    assert asked(round=0, seconds=0.01)["ms"] >= 0
    assert asked(round=1, seconds=0.01) == {"error": "MemoryError: no room"}
    assert asked(trace=0) is None
    assert asked(build=[good]) == [{"alive": 1}]
    side.close()
    with pytest.raises(RuntimeError, match="own.py ended with -9"):
        asked(round=0, seconds=0.01)


def test_what_travels_is_the_last_commit_and_runs_there(script, tmp_path):
    carry = script("accelerator").HERE / "carry.sh"
    if not (carry.parents[1] / ".git").exists():
        pytest.skip("needs the history: a commit is carried")
    folder = tmp_path / "carried"
    done = subprocess.run([carry, folder], capture_output=True, text=True, check=True)
    assert re.search(r"carried: \d+ MB; there: sh ", done.stdout)
    assert (folder / "tree/lumiere_jax/layers.py").is_file()
    there = ["sh", folder / "run.sh", "--parts=colour"]
    own = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said = subprocess.run(there, capture_output=True, text=True, env=own).stderr
    assert "there is no 'colour'" in said
    again = subprocess.run([carry, folder], capture_output=True, text=True)
    assert again.returncode == 2 and "is there already: name a new folder" in again.stderr


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
                    {**case, "size": 512, "eager_error": "no room"},
                    {**case, "ours_ms": 9.0, "ratio_compiled": 1.1},
                    {"slowest": "vae train", "size": 256, "batch": 8, "dtype": "bfloat16"}
                    | {"operations": [{"operation": "copy.7", "ms": 1.0, "share": 0.5}]},
                ],
            },
            "learning": {"ended": "done", "rows": [{"system": "a", "setting": "random VGG-19"}]},
            "choices": {
                "ended": "done",
                "rows": [
                    {**case, "choice": name, "flags": flags, "ours_ms": ms}
                    for name, flags, ms in (("as it is", "", 4.0), ("quick", "--q", 5.0))
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
    assert "vae train bfloat16: eager: no room" in told and "a learns with random VGG-19." in told
    assert "| quick `--q` | 1.25 |" in told
    assert "| live, float32 | 256 px | – | – | 5, 7.25 |" in told
