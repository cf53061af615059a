"""What a workdir says of the release that made it, and what is refused."""

import json
from pathlib import Path

import jax
import pytest

import lumiere_jax
from lumiere_jax.errors import UserError
from lumiere_jax.workflows.workdir import read_run


def test_a_workdir_of_a_later_release_is_refused(workdir, tmp_path):
    values = json.loads((workdir / "run.json").read_text())
    values |= {"format": 3, "versions": {"lumiere_jax": "9.1"}}
    (tmp_path / "run.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"made by lumiere_jax 9.1, and this is .*: update lumiere"):
        read_run(tmp_path)


def test_a_workdir_says_what_it_was_made_with(workdir):
    values = json.loads((workdir / "run.json").read_text())
    assert values["versions"]["lumiere_jax"] == lumiere_jax.__version__
    assert values["versions"]["jax"] == jax.__version__
    assert values["config"]["vae"]["steps"] == 4
    root = Path(__file__).parents[2]
    assert bool(values["commit"]) == (root / ".git").exists()
