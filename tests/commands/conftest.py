"""What the scripts are given, and scripts that run in the tests' own process."""

import runpy
import sys
from pathlib import Path

import pytest
from absl import flags

from lumiere_jax.commands import cli

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_in_process(monkeypatch, capsys):
    """Runs a script here; returns its exit code, standard output and standard error."""

    def call(name, *arguments):
        mains, before = [], set(flags.FLAGS)
        monkeypatch.setattr(cli, "run", lambda main, **_: mains.append(main))
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        monkeypatch.delitem(sys.modules, "config_config", raising=False)
        monkeypatch.chdir(ROOT)
        try:
            runpy.run_path(name, run_name="__main__")
            with pytest.raises(SystemExit) as stop:
                cli.parse([name, *arguments])
                cli.exit_on_error(mains[0])
                sys.exit(0)
        finally:
            for flag in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, flag)
            flags.FLAGS.unparse_flags()
        return stop.value.code, *capsys.readouterr()

    return call
