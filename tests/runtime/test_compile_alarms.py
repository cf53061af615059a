import os
import subprocess
import sys
import textwrap

import jax
import pytest

from lumiere_jax.runtime import compile_alarms

# XLA folds the window's sums of a constant, and logs an alarm after a second of it.
SLOW = textwrap.dedent("""
    import sys
    import jax
    import numpy as np
    from lumiere_jax.runtime.compile_alarms import silence_alarms

    if sys.argv[1] == "silent":
        silence_alarms()
    x, size, steps = np.ones((100, 100), np.float32), (14, 14), (1, 1)
    jax.jit(lambda: jax.lax.reduce_window(x, np.float32(0), jax.lax.add, size, steps, "SAME"))()
""")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["silent", "loud"])
def test_a_slow_compilation_says_nothing(how):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": os.getcwd()}
    environment.pop("XLA_FLAGS", None)
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", SLOW, how],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    assert ("slow_operation_alarm" in done.stderr) == (how == "loud")


@pytest.mark.parametrize(
    "told, usual", [("1", 1), ("", compile_alarms.ERROR), ("all", compile_alarms.ERROR)]
)
def test_only_while_something_is_compiled_errors_are_not_logged(monkeypatch, told, usual):
    levels, listeners = [], []
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", told)
    monkeypatch.setattr(compile_alarms.utils, "absl_set_min_log_level", levels.append)
    monkeypatch.setattr(
        compile_alarms.monitoring, "register_event_duration_secs_listener", listeners.append
    )
    compile_alarms.silence_alarms.__wrapped__()
    (heard,) = listeners
    heard(compile_alarms.LOWERED, 0.1)
    heard("/jax/core/compile/jaxpr_trace_duration", 0.1)
    heard(compile_alarms.COMPILED, 0.1, fun_name="f")
    assert levels == [compile_alarms.FATAL, usual]


def test_jax_still_tells_of_what_alarms_listen_to():
    heard = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: heard.append(event)
    )
    jax.jit(lambda x: x * 3)(5.0)
    assert heard.index(compile_alarms.LOWERED) < heard.index(compile_alarms.COMPILED)
