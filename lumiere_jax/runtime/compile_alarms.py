"""XLA's alarm about slow compilation, silenced."""

import functools
import os
from typing import Any

from jax import monitoring
from jaxlib import utils  # pyright: ignore[reportAttributeAccessIssue]

LOWERED = "/jax/core/compile/jaxpr_to_mlir_module_duration"
COMPILED = "/jax/core/compile/backend_compile_duration"
# Levels of XLA's log.
ERROR, FATAL = 2, 3


@functools.cache
def silence_alarms() -> None:
    """Silences XLA's error log while it compiles.

    XLA logs the alarm as an error and has no flag against it. Real compilation errors are raised as
    well.
    """
    text = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "")
    usual = int(text) if text.isdecimal() else ERROR

    def heard(event: str, duration_secs: float, **_: Any) -> None:
        if event == LOWERED:
            utils.absl_set_min_log_level(max(usual, FATAL))
        elif event == COMPILED:
            utils.absl_set_min_log_level(usual)

    monitoring.register_event_duration_secs_listener(heard)
