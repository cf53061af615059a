"""What both sides of a comparison share: a process that runs rounds when it is told to."""

import functools
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

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
    say(steps=steps)
    for _ in sys.stdin:
        wall, own = time.perf_counter(), sum(os.times()[:4])
        run(steps)
        wall, own = time.perf_counter() - wall, sum(os.times()[:4]) - own
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        say(ms=1000 * wall / (steps * parts), wall_s=wall, own_s=own, peak_bytes=peak)


@dataclass
class Built:
    """A case that is ready to be timed: `run(steps)` returns when its steps are done; a time is
    that of one of a step's `parts`. `peak` says how many bytes it takes while it runs."""

    run: Callable[[int], None]
    parts: int
    facts: dict[str, float]
    peak: Callable[[], float]


def serve_many(
    build: Callable[[dict[str, Any]], Built],
    together: int,
    trace: Callable[[Callable[[], None]], Any] | None = None,
) -> None:
    """Builds cases and runs rounds of them as standard input asks, a line of JSON each.

    {"build": [CASE, ...]} forgets the cases before, builds these, so many at a time, and gives the
    `facts` of each, or its error. {"round": 2, "seconds": 0.3} times case 2 for about as long, and
    {"trace": 2} gives what `trace` makes of a step of it.
    """
    built: list[Built | None] = []

    def tried(case: dict[str, Any]) -> tuple[Built | None, dict[str, Any]]:
        try:
            one = build(case)
            return one, one.facts
        except Exception as error:  # one case that does not work leaves the others
            return None, {"error": f"{type(error).__name__}: {error}"[:300]}

    for line in sys.stdin:
        asked = json.loads(line)
        if "build" in asked:
            built.clear()
            with ThreadPoolExecutor(together) as pool:
                found = list(pool.map(tried, asked["build"]))
            built = [one for one, _ in found]
            print(json.dumps([facts for _, facts in found]), flush=True)
            continue
        one = built[asked.get("round", asked.get("trace"))]
        assert one is not None
        if "trace" in asked:
            assert trace is not None
            print(json.dumps(trace(functools.partial(one.run, 1))), flush=True)
            continue
        began = time.perf_counter()
        one.run(1)
        steps = max(1, round(asked["seconds"] / (time.perf_counter() - began)))
        began = time.perf_counter()
        one.run(steps)
        seconds = time.perf_counter() - began
        say(ms=1000 * seconds / (steps * one.parts), peak_bytes=one.peak())


def say(**values: Any) -> None:
    """A line of JSON for who started this process, wherever `sys.stdout` leads now."""
    print(json.dumps(values), file=sys.__stdout__, flush=True)
