"""Datasets and workdirs that earlier releases made are read, spoken from and trained further."""

import tarfile
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from releases.record import restored

from lumiere_jax.audio.features import normalise
from lumiere_jax.commands.infer import infer
from lumiere_jax.commands.train import train
from lumiere_jax.inputs.dataset.description import ROWS
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.outputs.video import read_record
from lumiere_jax.systems import registry
from lumiere_jax.systems.lumierenet.normalised_features import split_features
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows.trained_model import load_model
from lumiere_jax.workflows.workdir import read_run

# Release, workdir, its dataset, the dataset's frames to train on, and the model's identifier.
MADE = [
    ("0_1_0", "ada", "lectures", 171, "4c3acbf06429484d"),
    ("0_3_0", "ada", "lectures", 85, "b04dfb6fcfdc7151"),
    ("0_3_0", "talk", "faces", 71, "4a6ba59ff1094781"),
]


@pytest.fixture
def release(tmp_path, request):
    """The folder of what a release made, with i / 1000 in the i-th array of each network."""
    with tarfile.open(Path(__file__).with_name(f"release_{request.param}.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "release"


def release_cases(*names):
    """Parametrizes a test over the releases and the given columns of MADE."""
    columns = {"workdir": 1, "data": 2, "frames": 3, "model": 4}
    rows = [(row[0], *(row[columns[name]] for name in names)) for row in MADE]
    return pytest.mark.parametrize(("release", *names), rows, indirect=["release"])


def check_dataset(folder, frames):
    """Asserts that a dataset has so many frames to train on, and that all parts are read."""
    dataset = open_dataset(folder)
    assert dataset.frames("train") == frames
    features = split_features(dataset, "train")
    assert features.shape == (frames, 40)
    if ROWS in dataset.columns:
        stored = np.stack([record[ROWS.name] for record in dataset.records("train")])
        np.testing.assert_array_equal(features, normalise(stored, dataset.mean, dataset.std))
    np.testing.assert_allclose(features.mean(0), 0, atol=0.05)
    records = list(dataset.records("test"))
    assert len(records) == dataset.frames("test") >= 25
    for record in records:
        frame = picture_bytes.decode(record["frame"], dataset.shape)
        assert frame.std() > 10 and record["keypoints"].shape == (137, 3)


def check_arrays(workdir):
    """Asserts that every stage is restored at its last step, array by array."""
    run = read_run(workdir)
    for name, stage in registry.of(run.config).stages(run.config, run.shape).items():
        state = restored(workdir / name, stage)
        assert checkpoint.latest_step(workdir / name) == stage.steps == int(state.step)
        leaves = jax.tree.leaves(state.networks)
        assert len(leaves) > 10
        for i, leaf in enumerate(leaves, 1):
            if leaf.dtype == np.float32:
                np.testing.assert_array_equal(leaf, np.full_like(leaf, i / 1000))


def train_further(workdir, data):
    """Trains the last stage of a workdir by one step."""
    config = read_run(workdir).config
    (*_, name) = registry.of(config).networks
    steps = checkpoint.latest_step(workdir / name) + 1
    getattr(config, name).steps = steps
    train(config=config, data=data, workdir=workdir, stage=name)
    assert checkpoint.latest_step(workdir / name) == steps


@release_cases("data", "frames")
def test_a_dataset_is_read(release, data, frames):
    check_dataset(release / data, frames)


@release_cases("workdir")
def test_a_workdir_is_read_array_by_array(release, workdir):
    check_arrays(release / workdir)


@release_cases("workdir", "model")
def test_a_model_keeps_its_identifier(release, workdir, model):
    assert load_model(release / workdir).id == model


@pytest.mark.slow
@release_cases("workdir", "data")
def test_a_workdir_speaks_and_is_trained_further(release, workdir, data, tmp_path):
    workdir, data = release / workdir, release / data
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(8000) / 9) / 3, 16_000)
    still = next(data.glob("stills/test-*.png"), None)
    frames = infer(workdir=workdir, audio=tmp_path / "a.wav", out=tmp_path / "a.mp4", image=still)
    assert frames == -(-read_run(workdir).fps // 2)
    assert read_record(tmp_path / "a.mp4")["synthetic"] is True
    train_further(workdir, data)


@pytest.mark.slow
@pytest.mark.parametrize("release", ["0_1_0"], indirect=True)
def test_a_workdir_is_trained_on_the_same_footage_prepared_anew(release, drawn):
    train_further(release / "ada", drawn)
