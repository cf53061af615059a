"""What both sides of a comparison share: a process that runs rounds when it is told to."""

import functools
import gc
import json
import math
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
    """A case that is ready to be timed: `run(steps)` returns when its steps are done, and a time is
    that of one of a step's `parts`. `facts` are known before, `peak` counts the bytes it takes."""

    run: Callable[[int], None]
    parts: int
    facts: dict[str, Any]
    peak: Callable[[], float | None] = lambda: None


def serve_many(
    build: Callable[[dict[str, Any]], Built],
    together: int = 1,
    trace: Callable[[Callable[[], None]], Any] | None = None,
    forget: Callable[[], None] = lambda: None,
) -> None:
    """Answers what standard input asks for, a line of JSON each, or with the `error` that came.

    {"build": [CASE, ...]} forgets the cases before, builds these, up to `together` at a time, and
    gives the facts of each. {"round": 2, "seconds": 0.3} times case 2 for about as long, and
    {"trace": 2} gives what `trace` makes of a step of it.
    """
    built: list[Any] = []

    def one(case: dict[str, Any]) -> tuple[Built | None, dict[str, Any]]:
        try:
            found = build(case)
            return found, found.facts
        except Exception as error:  # one case that does not work leaves the others
            return None, _told(error)

    def answer(asked: dict[str, Any]) -> Any:
        if "build" in asked:
            built.clear()
            gc.collect()  # PyTorch's networks hold on to themselves
            forget()
            if together == 1:  # here, where it is timed: cuDNN's choices are those of a thread
                found = [one(case) for case in asked["build"]]
            else:
                with ThreadPoolExecutor(together) as pool:
                    found = list(pool.map(one, asked["build"]))
            built.extend(case for case, _ in found)
            return [facts for _, facts in found]
        if "trace" in asked:
            assert trace is not None
            return trace(functools.partial(built[asked["trace"]].run, 1))
        return _timed(built[asked["round"]], asked["seconds"])

    for line in sys.stdin:
        try:
            found = answer(json.loads(line))
        except Exception as error:  # no room for it, say
            found = _told(error)
        print(json.dumps(found), file=sys.__stdout__, flush=True)


def _timed(case: Built, seconds: float) -> dict[str, float | None]:
    began = time.perf_counter()
    case.run(1)
    steps = max(1, round(seconds / (time.perf_counter() - began)))
    began = time.perf_counter()
    case.run(steps)
    passed = time.perf_counter() - began
    return {"ms": 1000 * passed / (steps * case.parts), "peak_bytes": case.peak()}


def _told(error: Exception) -> dict[str, str]:
    return {"error": f"{type(error).__name__}: {error}"[:300]}


def say(**values: Any) -> None:
    """Prints a line of JSON for who started this process, wherever `sys.stdout` leads now.

    Numbers that are not finite become null.
    """
    lost = lambda x: isinstance(x, float) and not math.isfinite(x)  # noqa: E731
    finite = {name: None if lost(x) else x for name, x in values.items()}
    print(json.dumps(finite), file=sys.__stdout__, flush=True)
