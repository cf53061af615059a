import os
import subprocess
import sys

import pytest

from lumiere_jax.runtime import memory_allocation

FAULTS = """
import resource, sys, threading
from lumiere_jax.runtime.memory_allocation import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def work():
    for _ in range(20):
        b'1' * 40_000_000
work()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc alone is told")
def test_large_arrays_get_the_memory_that_others_left_in_every_thread():
    given_back, kept = (
        int(subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True).stdout)
        for mode in ("given back", "kept")
    )
    pages = 40_000_000 // 4096
    assert given_back - kept > 30 * pages  # of 39 that need no new memory


def test_jax_takes_nearly_all_of_an_accelerator_unless_it_was_told(monkeypatch):
    name, older = "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"
    for variable in (name, older):
        monkeypatch.setenv(variable, "")  # so that what is set here is taken back
        monkeypatch.delenv(variable)
    memory_allocation.claim_accelerator()
    assert os.environ[name] == memory_allocation.SHARE and 0.75 < float(memory_allocation.SHARE) < 1
    monkeypatch.setenv(name, "0.4")
    memory_allocation.claim_accelerator()
    assert os.environ[name] == "0.4"
    monkeypatch.delenv(name)
    monkeypatch.setenv(older, "0.3")
    memory_allocation.claim_accelerator()
    assert name not in os.environ
