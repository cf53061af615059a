"""The torture's short form shares a cache of compiled programs, and what the tests have trained."""

import pytest


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """Variables of a process that hardly optimises what it compiles, and compiles it once."""
    return {
        "LUMIERE_JAX_CACHE": str(tmp_path_factory.mktemp("cache")),
        "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    }
