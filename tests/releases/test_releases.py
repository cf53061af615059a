"""Datasets and workdirs that earlier releases made are read, spoken from and trained further."""

import tarfile
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile

from lumiere_jax import systems
from lumiere_jax.inputs import archive
from lumiere_jax.inputs.lectures import open_dataset
from lumiere_jax.outputs.video import read_record
from lumiere_jax.training import checkpoint
from lumiere_jax.training.parallel import data_mesh, whole
from lumiere_jax.workflows.infer import infer
from lumiere_jax.workflows.train import train
from lumiere_jax.workflows.workdir import read_run

# Release, workdir, its dataset, and the dataset's frames to train on.
MADE = [
    ("0_1_0", "ada", "lectures", 171),
    ("0_3_0", "ada", "lectures", 85),
    ("0_3_0", "talk", "faces", 71),
]


@pytest.fixture
def release(tmp_path, request):
    """The folder of what a release made, with i / 1000 in the i-th array of each network."""
    with tarfile.open(Path(__file__).with_name(f"release_{request.param}.tar.xz")) as made:
        made.extractall(tmp_path, filter="data")
    return tmp_path / "release"


def made(*names):
    """A test's parameters: the release, and the given ones of MADE's columns."""
    columns = {"workdir": 1, "data": 2, "frames": 3}
    rows = [(row[0], *(row[columns[name]] for name in names)) for row in MADE]
    return pytest.mark.parametrize(("release", *names), rows, indirect=["release"])


@made("data", "frames")
def test_a_dataset_is_read(release, data, frames):
    dataset = open_dataset(release / data)
    assert dataset.frames("train") == frames
    features = dataset.features("train")
    assert features.shape == (frames, 40)
    np.testing.assert_allclose(features.mean(0), 0, atol=0.05)
    for record in dataset.records("test"):
        frame = archive.decode(record["frame"], dataset.shape)
        assert frame.std() > 10 and record["keypoints"].shape == (137, 3)


@made("workdir")
def test_a_workdir_is_read_array_by_array(release, workdir):
    run = read_run(release / workdir)
    for name, stage in systems.of(run.config).stages(run.config, run.shape).items():
        with checkpoint.open_checkpoints(release / workdir / name, alone=True) as manager:
            step = manager.latest_step()
            abstract = checkpoint.abstract_state(stage, whole(data_mesh(1)))
            state = checkpoint.restore(manager, step, abstract)
        assert step == stage.steps == int(state.step)
        for i, leaf in enumerate(jax.tree.leaves(state.networks), 1):
            if leaf.dtype == np.float32:
                np.testing.assert_array_equal(leaf, np.full_like(leaf, i / 1000))


@pytest.mark.slow
@made("workdir", "data")
def test_a_workdir_speaks_and_is_trained_further(release, workdir, data, tmp_path):
    workdir, data = release / workdir, release / data
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(8000) / 9) / 3, 16_000)
    run = read_run(workdir)
    still = next(data.glob("stills/test-*.png"), None)
    frames = infer(workdir=workdir, audio=tmp_path / "a.wav", out=tmp_path / "a.mp4", image=still)
    assert frames == -(-run.fps // 2)
    assert read_record(tmp_path / "a.mp4")["synthetic"] is True
    (*_, name) = systems.of(run.config).networks
    steps = checkpoint.latest_step(workdir / name) + 1
    getattr(run.config, name).steps = steps
    train(config=run.config, data=data, workdir=workdir, stage=name)
    assert checkpoint.latest_step(workdir / name) == steps
