"""Every command that the documents, the Makefile and the scripts' help name has a short form here.

A new command fails the first test until it has one. A short form is a test: of this file, or of
another one, by its path and name.
"""

import importlib.util
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from lumiere_jax.commands import demo
from lumiere_jax.systems.registry import ENTRIES

ROOT = Path(__file__).parents[1]
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs PyTorch: make torch"
)
needs_golden = pytest.mark.skipif(
    importlib.util.find_spec("python_speech_features") is None
    or importlib.util.find_spec("torch") is None,
    reason="needs PyTorch and python_speech_features, which uv run --script installs",
)
EXAMPLES = "commands/test_end_to_end.py::test_a_narration_becomes_a_video_of_its_length"
# A program, with what tells its uses apart, and its short form; None: not ours to test.
SHORT: dict[str, str | None] = {
    "make demo": "test_a_demos_commands_have_short_forms",
    "make test": None,
    "make test-slow": None,
    "make test-all": None,
    "make check": None,
    "make lock": None,
    "make env": None,
    "make clean": None,
    "make torch": None,
    "make paper": "commands/test_experiments.py::test_make_runs_the_papers_experiments",
    "make ablation": "commands/test_experiments.py::test_make_runs_the_ablation",
    "make ablation temporal_gan": "commands/test_faces.py::test_make_runs_the_ablation_of_faces",
    "make demo temporal_gan": "test_a_demos_commands_have_short_forms",
    "make bench": "test_the_makefiles_recipes_are_commands_that_have_short_forms",
    "make torture": "test_the_short_torture_runs_its_quickest_part",
    "prepare.py": "workflows/test_footage_archives.py::",
    "prepare.py --align": "commands/test_faces.py::",
    "prepare.py --synthetic": "test_scripts_draw_train_speak_and_measure",
    "prepare.py --synthetic --align": "commands/test_faces.py::",
    "prepare.py --beam_options": "workflows/test_beam.py::test_beam_makes_the_same_dataset",
    "train.py": "test_scripts_draw_train_speak_and_measure",
    "train.py --multihost": "commands/test_multihost.py::",
    "infer.py": "test_scripts_draw_train_speak_and_measure",
    "infer.py --image": "commands/test_faces.py::test_a_still_speaks_a_narration",
    "infer.py --live": "commands/test_live.py::test_standard_output_carries_nothing_but_frames",
    "infer.py --verify": "test_scripts_draw_train_speak_and_measure",
    "evaluate.py": "test_scripts_draw_train_speak_and_measure",
    "experiments.py": "commands/test_experiments.py::test_make_runs_the_papers_experiments",
    "experiments.py --seeds": "commands/test_faces.py::test_make_runs_the_ablation_of_faces",
    "benchmarks/compare.py": "test_both_sides_of_the_benchmark_agree_and_are_measured",
    "benchmarks/ours.py": "test_both_sides_of_the_benchmark_agree_and_are_measured",
    "benchmarks/twin.py": "test_both_sides_of_the_benchmark_agree_and_are_measured",
    "benchmarks/table.py": "test_both_sides_of_the_benchmark_agree_and_are_measured",
    "benchmarks/projection.py": "benchmarks/test_projection.py::test_the_page_has_each_stage",
    "benchmarks/input.py": "test_the_other_benchmarks_print_their_tables",
    "benchmarks/start.py": "test_the_other_benchmarks_print_their_tables",
    "benchmarks/memory.py": "test_the_other_benchmarks_print_their_tables",
    "benchmarks/steps.py": "test_the_other_benchmarks_print_their_tables",
    "benchmarks/accelerator.py": "test_the_accelerators_benchmark_runs_on_a_cpu",
    "docs/make_picture.py demo": "test_scripts_draw_train_speak_and_measure",
    "docs/make_picture.py faces": "commands/test_faces.py::test_the_readmes_picture_is_made",
    "docs/make_picture.py experiments": "commands/test_experiments.py::test_the_readmes_picture",
    "docs/draw_rooms.py": "test_the_rooms_are_drawn_and_no_arrow_leads_upwards",
    "docs/make_tables.py": "commands/test_experiments.py::test_the_readmes_picture_and_tables",
    "tests/golden/make_golden.py": "test_the_golden_numbers_can_be_made_anew",
    "tests/releases/make_release.py": "releases/test_record.py::test_a_release_is_made_anew",
    "tests/releases/record.py": "releases/test_record.py::test_steps_are_those_that_were_recorded",
    "tests/torture/run.py": "test_the_short_torture_runs_its_quickest_part",
    "tests/torture/fuzz.py": "torture/test_fuzz.py::",
    "tests/torture/marks.py": "test_the_marks_of_a_short_torture_are_found",
    # Of those that use the project, and programs of others.
    "gcloud": None,
    "pip": None,
    "pre-commit": None,
    "pytest": None,
    "uvx": None,
}
# Flags that make another use of a script.
USES = ("synthetic", "align", "beam_options", "multihost", "image", "live", "verify", "seeds")
COMMAND = re.compile(
    r"(?:(?:python\S*|uv run --script) (?P<script>[\w/]+\.py)|(?P<bare>[\w/]+\.py)(?= --))"
    r"(?P<rest>[^|]*)"
    r"|make (?P<make>[^&|]+)"
    r"|(?P<other>pip|pre-commit|pytest|uvx|gcloud)(?= )"
)
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TARGETS = re.findall(r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)


def texts():
    """Where users are told of commands: indented lines, blocks of code and what is quoted."""
    blocks = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    for path in DOCUMENTS:
        text = path.read_text()
        for block in blocks.findall(text):
            yield from lines(block)
        text = lines(blocks.sub("", text))
        yield from (line.strip() for line in text if line.startswith("    "))
        yield from re.findall(r"`([^`]+)`", "\n".join(text))
    for folder in (
        "",
        "benchmarks",
        "configs",
        "docs",
        "tests/golden",
        "tests/releases",
        "tests/torture",
    ):
        for path in sorted((ROOT / folder).glob("*.py")):
            doc = re.search(r'"""(.*?)"""', path.read_text(), re.DOTALL)
            yield from (line.strip() for line in lines(doc[1] if doc else ""))
    yield from (f"make {target}" for target in TARGETS)


def lines(text):
    """The lines, joined where one goes on."""
    return re.sub(r"\\+\n\s*", " ", text).splitlines()


def named(text):
    """The uses of commands in a piece of text."""
    for found in COMMAND.finditer(" ".join(text.split("#")[0].split())):
        if found["make"]:
            goals = [word for word in found["make"].split() if "=" not in word]
            if goals and (found.start() == 0 or goals[0] in TARGETS):
                system = ["temporal_gan"] * ("SYSTEM=temporal_gan" in found["make"])
                yield " ".join(["make", goals[0], *system])
        elif found["other"]:
            yield found["other"]
        else:
            script, rest = found["script"] or found["bare"], found["rest"]
            first = rest.split()[:1] if "make_picture" in script else []
            uses = [f"--{use}" for use in USES if f"--{use}" in re.findall(r"--\w+", rest)]
            yield " ".join([script, *first, *uses])


def run(*command, code=0, **environment):
    """What a command prints, as a user would run it from the project's root."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


def make(*arguments, **more):
    """make in this environment, which is taken as it is."""
    return run("make", "--old-file=env", f"BIN={Path(sys.executable).parent}", *arguments, **more)


def test_every_command_that_is_named_has_a_short_form():
    found = {use for text in texts() if text for use in named(text) if use}
    assert sorted(found - SHORT.keys()) == [], "commands without a short form"
    assert sorted(SHORT.keys() - found) == [], "short forms of commands that nothing names"
    for place in filter(None, SHORT.values()):
        path, _, name = place.rpartition("::")
        file = ROOT / "tests" / path if path else Path(__file__)
        assert f"def {name or 'test_'}" in file.read_text(), place


def test_documents_link_to_what_is_there():
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).is_file(), f"{path.name}: {target}"


def test_the_readme_is_short_and_leads_to_every_page():
    readme = DOCUMENTS[0].read_text()
    assert len(readme.splitlines()) <= 200
    for path in DOCUMENTS[1:]:
        assert f"({path.relative_to(ROOT)})" in readme


def test_the_makefiles_recipes_are_commands_that_have_short_forms():
    commands = [line for line in lines(make("--dry-run", "bench")) if ".py" in line]
    assert len(commands) >= 4
    for line in commands:
        assert [use in SHORT for use in named(line)] == [True], line


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_a_demos_commands_have_short_forms(entry):
    for command in demo.commands(entry):
        assert [use in SHORT for use in named(f"python {' '.join(command)}")] == [True], command


def test_the_rooms_are_drawn_and_no_arrow_leads_upwards(tmp_path):
    rooms = runpy.run_path(str(ROOT / "docs" / "draw_rooms.py"))
    lines, arrows = rooms["rooms_of"](ROOT / "lumiere_jax")
    assert len(lines) > 10 and len(arrows) > 20
    assert not rooms["in_circles"](arrows)
    circle = {("a", "b"), ("b", "c"), ("c", "a")}
    assert rooms["in_circles"](dict.fromkeys([*circle, ("d", "a")], 1)) == circle
    rooms["draw"](png=tmp_path / "rooms.png")
    assert (tmp_path / "rooms.png").stat().st_size > 10_000


def test_a_demo_of_no_system_is_one_sentence(capsys):
    assert demo.main(["none"]) == 2
    assert capsys.readouterr().err == "error: SYSTEM=none: use lumierenet or temporal_gan\n"


@pytest.mark.parametrize("target", ["paper", "ablation"])
def test_experiments_without_a_dataset_are_one_sentence(target):
    assert make(target, code=2) == (
        f"error: name a dataset and a folder: make {target} DATA=data/ada OUT=runs/{target}\n"
    )


@pytest.mark.slow
def test_scripts_draw_train_speak_and_measure(drawn, workdir, speech, tmp_path):
    """The four commands on a drawn lecturer, and the README's picture of what they leave."""
    python, out = sys.executable, tmp_path / "lecture.mp4"
    data = tmp_path / "data"
    run(python, "prepare.py", "--synthetic", "--minutes=0.1", "--size=64", f"--out={data}")
    preset = "--config=configs/lumierenet.py:tiny"
    assert "trained" in run(python, "train.py", preset, f"--data={drawn}", f"--workdir={workdir}")
    run(python, "infer.py", f"--workdir={workdir}", f"--audio={speech}", f"--out={out}")
    assert "synthetic" in run(python, "infer.py", f"--verify={out}")
    report = tmp_path / "report"
    run(python, "evaluate.py", f"--workdir={workdir}", f"--data={drawn}", f"--out={report}")
    assert (report / "metrics.json").is_file()
    run(python, "docs/make_picture.py", "demo", workdir, drawn, tmp_path / "demo.png")
    assert (tmp_path / "demo.png").is_file()


@needs_torch
@pytest.mark.slow
def test_both_sides_of_the_benchmark_agree_and_are_measured(tmp_path):
    """Each kind of case is checked in float32; of the quickest, rounds are measured as well."""
    out, script = tmp_path / "results.json", "benchmarks/compare.py"
    sizes = ("--sizes=128", "--batches=1", "--dtypes=float32", f"--out={out}")
    told = run(sys.executable, script, *sizes, "--baselines=eager", "--foreign=1000", "--rounds=0")
    names = [
        f"{name} {kind}" for name in ("blstm", "vae", "seqpix2pix") for kind in ("forward", "train")
    ]
    for name in (*names, "synthesis synthesis", "animator streaming"):
        assert f"{name} float32: agree to" in told
    for name in ("blstm", "synthesis"):
        run(
            sys.executable, script, *sizes, f"--names={name}", "--passes=train,synthesis",
            "--baselines=eager", "--foreign=1000", "--no-check",
        )  # fmt: skip
    measured = {r["name"]: r for r in json.loads(out.read_text())}
    assert {"blstm", "synthesis"} <= measured.keys()
    assert all(r["ours_ms"] > 0 and r["ratio"] > 0 for r in measured.values())
    assert "| synthesis | 128 px, 1 |" in run(sys.executable, "benchmarks/table.py", out)


@pytest.mark.slow
def test_the_other_benchmarks_print_their_tables():
    bench = lambda name, *flags: run(sys.executable, f"benchmarks/{name}.py", *flags)  # noqa: E731
    told = bench("input", "--size=64")
    assert "| vae | 64 px |" in told and "| seqpix2pix | 64 px |" in told
    assert "| 64 px | seqpix2pix |" in bench("steps", "64")
    told = bench("memory", "--size=64", "0.05")
    assert "| a step of seqpix2pix |" in told and "| 0.05 min of speech |" in told
    assert "second start, 64 px: " in bench("start", "64")


BLOCKED = "tensorflow tensorflow_datasets array_record ml_collections librosa av soundfile"
BLOCKED = f"{BLOCKED} tensorboardX".split()


@pytest.mark.slow
def test_the_accelerators_benchmark_runs_on_a_cpu(tmp_path):
    """Where none of the packages can be imported that a machine with an accelerator may lack."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({BLOCKED!r}))\n"
    )
    blocked, out = {"PYTHONPATH": str(tmp_path)}, tmp_path / "results.json"
    for name in BLOCKED:
        run(sys.executable, "-c", f"import {name}", code=1, **blocked)
    run(sys.executable, "benchmarks/accelerator.py", "--short", f"--out={out}", **blocked)
    results = json.loads(out.read_text())
    assert results["short"] and results["date"] and "jax" in results["versions"]
    parts = results["parts"]
    assert list(parts) == ["right", "card", "beside", "learning", "speaking"]
    assert all(part["ended"] == "done" for part in parts.values())
    assert len(parts["right"]["rows"]) == 8 and all(r["right"] for r in parts["right"]["rows"])
    timed = {(r["name"], r["pass"]): r for r in parts["beside"]["rows"] if "pass" in r}
    traces = [r["operations"] for r in parts["beside"]["rows"] if "slowest" in r]
    assert len(traces) == 1 and 0 < traces[0][0]["share"] <= 1
    assert ("seqpix2pix", "train") in timed and ("animator", "streaming") in timed
    assert all(r["ours_ms"] > 0 for r in timed.values())
    stages = [r["stage"] for r in parts["learning"]["rows"] if "stage" in r]
    assert stages == ["vae", "blstm", "seqpix2pix", "animator"]
    assert (tmp_path / "results_lumierenet.png").is_file()
    assert {r["what"] for r in parts["speaking"]["rows"]} == {"frames", "marked frames", "live"}
    assert "| marked frames, float32 | 64 px |" in run(sys.executable, "benchmarks/table.py", out)


@pytest.mark.slow
def test_the_short_torture_runs_its_quickest_part():
    """As a user runs it: nothing of the tests' own settings is inherited."""
    told = run(sys.executable, "tests/torture/run.py", "--short", "--only=preflight", "--jobs=2")
    assert re.search(r"^total +\d+ +0$", told, re.MULTILINE), told


@pytest.mark.slow
def test_the_marks_of_a_short_torture_are_found():
    told = run(sys.executable, "tests/torture/marks.py", "--short")
    assert "no mark is found where none is" in told


@needs_golden
@pytest.mark.slow
def test_the_golden_numbers_can_be_made_anew(tmp_path):
    run(sys.executable, "tests/golden/make_golden.py", tmp_path / "golden.npz")
    assert (tmp_path / "golden.npz").is_file()
