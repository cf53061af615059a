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


def test_tortures_in_processes_of_their_own_make_one_table_in_their_order(
    run, monkeypatch, tmp_path, capsys
):
    """One that ends without rows is a failure, and takes none of the others with it."""
    script = tmp_path / "run.py"
    script.write_text(
        "import json, sys\n"
        "flags = dict(flag.lstrip('-').partition('=')[::2] for flag in sys.argv[1:])\n"
        "print('said by', flags['only'])\n"
        "if flags['only'] == 'soak':\n"
        "    sys.exit('out of memory')\n"
        "row = {'promise': flags['only'], 'tries': 3, 'failures': 0, 'note': flags['seed']}\n"
        "open(flags['rows'], 'w').write(json.dumps([row]))\n"
    )
    monkeypatch.setattr(run, "__file__", str(script))
    disk, soak, locks = run.together(["disk", "soak", "locks"], tmp_path, 2, "--seed=7")
    assert (disk, locks) == (Row("disk", 3, 0, "7"), Row("locks", 3, 0, "7"))
    assert soak.failures == 1 and "exit code 1: said by soak\nout of memory" in soak.note
    assert "said by locks" in capsys.readouterr().err
