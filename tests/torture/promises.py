"""Promises whose tests take a moment, counted as they are."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from torture.rows import Row
from torture.tally import say

TESTS = Path(__file__).parents[1]
PROMISES = {
    "a bad step is skipped, ten in a row end the run; a stop saves first": [
        "training/test_loop.py"
    ],
    "a damaged record is named, counted and replaced": ["inputs/dataset/test_records.py"],
    "a pickle runs no code": ["test_torch_files.py", "inputs/poses/test_torch_dump.py"],
    "media, datasets and checkpoints open no other files": [
        "inputs/media/test_containers.py",
        "inputs/dataset/test_lectures.py",
        "training/test_checkpoint.py",
    ],
    "wrong use is a sentence, and nothing is half-written": ["commands/test_bad_input.py"],
    "workdirs of other releases": ["releases/test_releases.py", "workflows/test_versions.py"],
}


def torture(folder: Path, seed: int = 0, short: bool = False) -> list[Row]:
    """A row for each promise; the short form leaves the slower half out."""
    rows = []
    for number, (promise, files) in enumerate(list(PROMISES.items())[: 3 if short else None]):
        report = folder / f"{number}.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}"]
        own = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
        done = subprocess.run(
            [*command, *(str(TESTS / file) for file in files)],
            cwd=TESTS.parent,
            env=own,
            capture_output=True,
            text=True,
        )
        say(f"promises: {promise}")
        rows.append(counted(promise, report, done))
    return rows


def counted(promise: str, report: Path, done: subprocess.CompletedProcess[str]) -> Row:
    """The tests that were run; a row of failures too where none was, or pytest itself failed."""
    suite = next(ElementTree.parse(report).iter("testsuite")).attrib if report.exists() else {}
    names = "tests", "skipped", "failures", "errors"
    found, skipped, *wrong = (int(suite.get(name, 0)) for name in names)
    tries, note = found - skipped, f"tests, {skipped} more were skipped" if skipped else "tests"
    if tries and (done.returncode == 0 or sum(wrong)):
        return Row(promise, tries, sum(wrong), note)
    said = " ".join(f"{done.stdout} {done.stderr}".split())[-200:]
    return Row(promise, max(1, tries), 1, f"{tries} tests and exit code {done.returncode}: {said}")
