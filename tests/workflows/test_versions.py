"""Workdirs of other releases, and what a workdir says of its own."""

import json
import tarfile
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile

import lumiere_jax
from lumiere_jax.errors import UserError
from lumiere_jax.outputs.video import read_record
from lumiere_jax.systems.lumierenet import stages
from lumiere_jax.training import checkpoint
from lumiere_jax.training.parallel import data_mesh, whole
from lumiere_jax.workflows.infer import infer
from lumiere_jax.workflows.train import train
from lumiere_jax.workflows.workdir import read_run


@pytest.fixture
def release(tmp_path):
    """A workdir that release 0.1.0 made, with i / 1000 in the i-th array of each stage's networks,
    so that it is small."""
    with tarfile.open(Path(__file__).with_name("release_0_1_0.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "release"


def test_a_workdir_of_an_earlier_release_is_read_array_by_array(release):
    run = read_run(release)
    for name, stage in stages(run.config, run.size).items():
        with checkpoint.open_checkpoints(release / name, alone=True) as manager:
            step = manager.latest_step()
            abstract = checkpoint.abstract_state(stage, whole(data_mesh(1)))
            state = checkpoint.restore(manager, step, abstract)
        assert step == stage.steps == int(state.step)
        leaves = jax.tree.leaves(state.networks)
        for i, leaf in enumerate(leaves, 1):
            if leaf.dtype == np.float32:
                np.testing.assert_array_equal(leaf, np.full_like(leaf, i / 1000))


def test_it_speaks_and_is_trained_further(release, drawn, tiny, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(8000) / 9) / 3, 16_000)
    assert infer(workdir=release, audio=tmp_path / "a.wav", out=tmp_path / "a.mp4") == 15
    assert read_record(tmp_path / "a.mp4")["synthetic"] is True
    config = tiny()
    config.seqpix2pix.steps = 3
    train(config=config, data=drawn, workdir=release, stage="seqpix2pix")
    assert checkpoint.latest_step(release / "seqpix2pix") == 3


def test_a_workdir_of_a_later_release_is_refused(release):
    values = json.loads((release / "run.json").read_text())
    values |= {"format": 2, "versions": {"lumiere_jax": "9.1"}}
    (release / "run.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"made by lumiere_jax 9.1, and this is .*: update lumiere"):
        read_run(release)


def test_a_workdir_says_what_it_was_made_with(workdir):
    values = json.loads((workdir / "run.json").read_text())
    assert values["versions"]["lumiere_jax"] == lumiere_jax.__version__
    assert values["versions"]["jax"] == jax.__version__
    assert values["config"]["vae"]["steps"] == 4
    root = Path(__file__).parents[2]
    assert bool(values["commit"]) == (root / ".git").exists()
