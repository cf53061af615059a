"""The table: what is missing or breaks off is a failure, not an end."""

import subprocess
import sys
from pathlib import Path

import pytest
from torture.rows import Row

RUN = Path(__file__).with_name("run.py")


@pytest.fixture
def run(monkeypatch):
    """The module, imported as the script."""
    import importlib.util

    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("torture_run", RUN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_help_teaches():
    done = subprocess.run([sys.executable, RUN, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--only=kills,disk" in done.stdout


def test_what_is_missing_or_breaks_off_is_a_failure(run, monkeypatch, tmp_path):
    def broken(folder, seed, short):
        raise ZeroDivisionError("no tries")

    monkeypatch.setitem(run.TORTURES, "nothing", ("no_such_torture", broken))
    (row,) = run.tortured("nothing", tmp_path, 0, True)
    assert row.failures == 1 and "MISSING" in row.promise
    monkeypatch.setitem(run.TORTURES, "broken", ("kills", lambda module, *rest: broken(*rest)))
    (row,) = run.tortured("broken", tmp_path, 0, True)
    assert row.failures == 1 and "ZeroDivisionError: no tries" in row.note


def test_the_table_ends_with_the_totals(run):
    lines = run.table([Row("a", 1000, 0, "a note"), Row("longer", 24, 2)]).splitlines()
    assert lines[1].split() == ["a", "1,000", "0", "a", "note"]
    assert lines[-1].split() == ["total", "1,024", "2"]
