"""Strict settings for every test: typed shapes, several devices, no silent promotion.

Datasets and workdirs that many tests ask for are made once for all workers, and what is compiled is
kept for the next run, in .cache/ of the project.
"""

import contextlib
import gc
import hashlib
import importlib.util
import os
import shutil
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Half of a test's time is compilation, and nothing here runs long enough to repay it.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import av
import jax
import numpy as np
import pytest
import soundfile
from filelock import FileLock
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Tests that call make call it as a user does, even where make runs the tests.
for variable in ("MAKEFLAGS", "MAKELEVEL"):
    os.environ.pop(variable, None)

install_import_hook("lumiere_jax", "beartype.beartype")

from lumiere_jax.paths import plainly_named  # noqa: E402
from lumiere_jax.runtime import compiled_programs  # noqa: E402

_for_good = contextlib.ExitStack()


def use_compilation_cache():
    """Caches compiled programs in .cache/ of the project, apart from the user's."""
    flags = hashlib.sha256(os.environ["XLA_FLAGS"].encode()).hexdigest()[:8]
    root = Path(__file__).resolve().parents[1]
    folder = root / ".cache" / "compiled" / f"{compiled_programs.machine_name()}-{flags}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lockfile"):  # JAX's own
        compiled_programs.remove_partial_entries(folder)
    settings = {
        # JAX reads the name as a pattern.
        "jax_compilation_cache_dir": str(_for_good.enter_context(plainly_named(folder))),
        # JAX locks a cache that has a maximum size.
        "jax_compilation_cache_max_size": 2**30,
        "jax_persistent_cache_min_compile_time_secs": 0.02,
    }
    for name, value in settings.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)  # for processes that tests start


use_compilation_cache()

# JAX keeps millions of traced objects. At Python's thresholds, scanning them took over half of the
# tests' time.
gc.set_threshold(100_000, 50, 1000)


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
def made_once(request, tmp_path_factory):
    """Returns this worker's copy of a folder that is built once per run."""
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        base = base.parent  # which pytest-xdist's workers share

    def copy(name, make):
        part = base / f"{name}.part"
        with FileLock(base / f"{name}.lock"):
            if not (base / name).exists():
                shutil.rmtree(part, ignore_errors=True)
                make(part)
                part.rename(base / name)
        return Path(shutil.copytree(base / name, tmp_path_factory.mktemp("own") / name))

    return copy


@pytest.fixture(scope="session")
def drawn(made_once):
    """A folder with a dataset of 180 frames to train on and ten seconds of another narration."""
    from lumiere_jax.workflows import drawn_dataset

    def make(folder):
        whole = drawn_dataset.read_narration
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(drawn_dataset, "read_narration", lambda path: whole(path)[:160_000])
            drawn_dataset.prepare_synthetic(out=folder, minutes=0.1, size=64)

    return made_once("data", make)


@pytest.fixture(scope="session")
def workdir(made_once, tiny, drawn):
    """A workdir with all stages trained, hardly."""
    from lumiere_jax.commands.train import train

    return made_once("ada", lambda folder: train(config=tiny(), data=drawn, workdir=folder))


@pytest.fixture
def speech(tmp_path):
    """A narration of a quarter of a second."""
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.sin(np.arange(4000) / 9) / 2, 16_000)
    return path


@pytest.fixture
def consent(tmp_path):
    """A file of consent."""
    path = tmp_path / "consent.toml"
    path.write_text('who = "Ada"\nwhen = 2026-01-31\npurpose = "tests"\n')
    return path
