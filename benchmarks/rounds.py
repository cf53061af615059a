"""What both sides of a comparison share: a process that runs rounds when it is told to."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable

# Two networks in one process would share its threads: each side is a process of its own, and
# stands still while the other runs.
WARM, ROUND_SECONDS = 2, 1.0


def serve(run: Callable[[int], None]) -> None:
    """Tells when `run(steps)` is warm, then answers each line with a round's times.

    `run` returns when its steps are done. A round lasts at least a second.
    """
    began = time.perf_counter()
    run(1)
    first = time.perf_counter() - began
    run(WARM)
    began = time.perf_counter()
    run(WARM)
    steps = max(1, round(ROUND_SECONDS * WARM / (time.perf_counter() - began)))
    _say(first_s=first)
    for _ in sys.stdin:
        wall, own = time.perf_counter(), sum(os.times()[:4])
        run(steps)
        wall, own = time.perf_counter() - wall, sum(os.times()[:4]) - own
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        _say(ms=1000 * wall / steps, wall_s=wall, own_s=own, peak_bytes=peak)


def _say(**values: float) -> None:
    print(json.dumps(values), flush=True)
