"""Strict settings for every test: typed shapes, several devices, no silent promotion."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# What tests compile, with the flags below, is not for the user's cache.
os.environ["JAX_COMPILATION_CACHE_DIR"] = ""

# Half of a test's time is compilation, and nothing here runs long enough to repay it.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

install_import_hook("lumiere_jax", "beartype.beartype")


@pytest.fixture
def shared():
    """The folder of real footage and weights beside the project; the test is skipped without it."""
    import pathlib

    folder = pathlib.Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the real footage in ../shared, which is not part of the project")
    return folder
