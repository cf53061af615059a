"""A dataset of the drawn lecturer and a workdir trained on it, made once for all of these tests."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny():
    """Makes a new config of the preset `tiny`."""
    path = Path(__file__).parents[2] / "configs" / "lumierenet.py"
    spec = importlib.util.spec_from_file_location("lumierenet_presets", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda: module.get_config("tiny")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A folder with a dataset of 180 frames to train on and ten seconds of another narration."""
    from lumiere_jax.workflows import prepare

    whole = prepare.read_narration
    folder = tmp_path_factory.mktemp("drawn") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "read_narration", lambda path: whole(path)[:160_000])
        prepare.prepare_synthetic(out=folder, minutes=0.1, size=64)
    return folder


@pytest.fixture(scope="session")
def workdir(tmp_path_factory, tiny, drawn):
    """A workdir with all stages trained, hardly."""
    from lumiere_jax.workflows.train import train

    folder = tmp_path_factory.mktemp("run") / "ada"
    train(config=tiny(), data=drawn, workdir=folder)
    return folder


@pytest.fixture
def consent(tmp_path):
    """A file of consent."""
    path = tmp_path / "consent.toml"
    path.write_text('who = "Ada"\nwhen = 2026-01-31\npurpose = "tests"\n')
    return path
