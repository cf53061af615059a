"""What both sides of a comparison share: a process that runs rounds when it is told to."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable

# Two networks in one process would share its threads: each side is a process of its own, and
# stands still while the other runs.
ROUND_SECONDS = 0.5


def serve(run: Callable[[int], None], parts: int = 1) -> None:
    """Tells when `run(steps)` is warm, then answers each line with a round's times.

    `run` returns when its steps are done; a time is that of one of a step's `parts`. A round is
    about half a second, or a step that takes longer.
    """
    run(1)
    began = time.perf_counter()
    run(1)
    steps = max(1, round(ROUND_SECONDS / (time.perf_counter() - began)))
    _say(steps=steps)
    for _ in sys.stdin:
        wall, own = time.perf_counter(), sum(os.times()[:4])
        run(steps)
        wall, own = time.perf_counter() - wall, sum(os.times()[:4]) - own
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        _say(ms=1000 * wall / (steps * parts), wall_s=wall, own_s=own, peak_bytes=peak)


def _say(**values: float) -> None:
    print(json.dumps(values), flush=True)
