"""Strict settings for every test: typed shapes, several devices, no silent promotion. A dataset of
the drawn lecturer and a workdir trained on it are made once, for all tests that ask for them."""

import importlib.util
import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# What tests compile, with the flags below, is not for the user's cache.
os.environ["JAX_COMPILATION_CACHE_DIR"] = ""

# Half of a test's time is compilation, and nothing here runs long enough to repay it.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import av
import jax
import numpy as np
import pytest
import soundfile
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Tests that call make call it as a user does, even where make runs the tests.
for variable in ("MAKEFLAGS", "MAKELEVEL"):
    os.environ.pop(variable, None)

install_import_hook("lumiere_jax", "beartype.beartype")


@pytest.fixture
def shared():
    """The folder of real footage and weights beside the project; the test is skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the real footage in ../shared, which is not part of the project")
    return folder


@pytest.fixture
def portrait(shared):
    """The first frame of a real person's footage, RGB."""
    with av.open(str(shared / "footage" / "portrait.mp4")) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.fixture(scope="session")
def presets():
    """The module of LumièreNet's presets."""
    return _presets("lumierenet")


@pytest.fixture(scope="session")
def faces_presets():
    """The module of the temporal GAN's presets."""
    return _presets("temporal_gan")


def _presets(system):
    path = Path(__file__).parents[1] / "configs" / f"{system}.py"
    spec = importlib.util.spec_from_file_location(f"{system}_presets", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny(presets):
    """Makes a new config of the preset `tiny`."""
    return lambda: presets.get_config("tiny")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A folder with a dataset of 180 frames to train on and ten seconds of another narration."""
    from lumiere_jax.workflows import drawn

    whole = drawn.read_narration
    folder = tmp_path_factory.mktemp("drawn") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn, "read_narration", lambda path: whole(path)[:160_000])
        drawn.prepare_synthetic(out=folder, minutes=0.1, size=64)
    return folder


@pytest.fixture(scope="session")
def workdir(tmp_path_factory, tiny, drawn):
    """A workdir with all stages trained, hardly."""
    from lumiere_jax.workflows.train import train

    folder = tmp_path_factory.mktemp("run") / "ada"
    train(config=tiny(), data=drawn, workdir=folder)
    return folder


@pytest.fixture
def speech(tmp_path):
    """A narration of a quarter of a second."""
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.sin(np.arange(4000) / 9) / 2, 16_000)
    return path
