"""Training steps and networks in use beside PyTorch's, in turn; a part of accelerator.py.

Both sides are a process each, on the same device, and build some cases at a time; then each case's
rounds go A B A B. A GPU's float32 is TensorFloat-32 on both sides. Where PyTorch is not installed,
our side is measured alone.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cases import Case
from rounds import say

HERE = Path(__file__).resolve().parent
ROUNDS, ROUND_SECONDS, TOGETHER = 3, 0.3, 5
# Of the cases that are furthest behind PyTorch, what their time goes into.
TRACED = 3
DTYPES = ("bfloat16", "float32")
# One accelerator has room for all sides.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def full() -> tuple[list[Case], list[Case]]:
    """The cases, the most telling first, and those that Inductor compiles too."""

    def at(size: int, batch: int) -> list[Case]:
        kinds = ("seqpix2pix", "forward"), ("seqpix2pix", "train"), ("vae", "train")
        kinds += (("vae", "forward"),)
        return [
            Case(name=name, kind=kind, dtype="bfloat16", size=size, batch=batch)
            for name, kind in kinds
        ]

    sound = [
        Case(name="blstm", kind=kind, dtype="bfloat16", size=0, batch=128)
        for kind in ("train", "forward")
    ]
    face = Case(name="animator", kind="streaming", dtype="bfloat16", size=128, batch=1)
    first = [*at(256, 8), *at(256, 1), *sound, face]
    cases = [replace(case, dtype=dtype) for dtype in DTYPES for case in first]
    cases += [case for size, batch in ((128, 32), (512, 1)) for case in at(size, batch)]
    cases += [
        replace(case, dtype="float32")
        for size, batch in ((128, 32), (512, 1))
        for case in at(size, batch)
    ]
    return cases, [first[0], first[2], first[5]]


def short() -> tuple[list[Case], list[Case]]:
    """One of each network in small, the U-Net and the BLSTM in use and in training."""
    sizes = {"seqpix2pix": 64, "blstm": 0, "animator": 128}
    cases = [
        replace(case, size=sizes[case.name], batch=1, width=4, cells=8)
        for case in full()[0]
        if case.name in sizes and case.dtype == "float32"
    ]
    cases = list(dict.fromkeys(cases))
    return cases, [case for case in cases if (case.name, case.kind) == ("blstm", "forward")]


class Side:
    """A process of one of the scripts here that builds cases and runs rounds of them."""

    def __init__(self, script: str, *arguments: str, **environment: str):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT, **environment},
        )

    def ask(self, **what: Any) -> None:
        """Asks for something, without waiting for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """What was asked for."""
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def rows(cases: list[Case], sides: dict[str, Side], rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each case, which all sides have been asked to build, as soon as it is measured."""
    facts = {name: side.answer() for name, side in sides.items()}
    for i, case in enumerate(cases):
        row: dict[str, Any] = {
            "name": case.name,
            "pass": case.kind,
            "size": case.size or None,
            "batch": case.batch,
            "dtype": case.dtype,
        }
        able = {name: side for name, side in sides.items() if "error" not in facts[name][i]}
        timed: dict[str, list[Any]] = {name: [] for name in able}
        for _ in range(rounds):
            for name, side in able.items():
                side.ask(round=i, seconds=ROUND_SECONDS)
                timed[name].append(side.answer())
        for name in sides:
            own = facts[name][i]
            if name in able:
                row[f"{name}_ms"] = statistics.median(r["ms"] for r in timed[name])
                row[f"{name}_peak_gb"] = max(r["peak_bytes"] for r in timed[name]) / 1e9
            row |= {k if k == "gflop" else f"{name}_{k}": x for k, x in own.items()}
        for name in able:
            if name != "ours" and "ours" in able:
                row[f"ratio_{name}"] = row[f"{name}_ms"] / row["ours_ms"]
        yield row


def traced(cases: list[Case], ours: Side) -> Iterator[dict[str, Any]]:
    """What our side's time goes into in a step of each case."""
    ours.ask(build=[asdict(case) for case in cases])
    for i, (case, facts) in enumerate(zip(cases, ours.answer(), strict=True)):
        row: dict[str, Any] = {"batch": case.batch, "dtype": case.dtype}
        if "error" not in facts:
            ours.ask(trace=i)
            row["operations"] = ours.answer()
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--out", help="accelerator.py's results; not read")
    small = parser.parse_args().short
    cases, inductor = short() if small else full()
    rounds = 1 if small else ROUNDS
    with contextlib.ExitStack() as opened:

        def side(*arguments: str) -> Side:
            one = Side(*arguments)
            opened.callback(one.close)
            return one

        sides = {"ours": side("ours.py", "many")}
        compiled: dict[str, Side] = {}
        if importlib.util.find_spec("torch") is not None:
            sides["eager"] = side("twin.py", "many", "eager")
            # Inductor takes its time: it builds beside all that comes before its cases are timed.
            compiled = {"compiled": side("twin.py", "many", "compiled")}
            compiled["compiled"].ask(build=[asdict(case) for case in inductor])
        behind: list[tuple[float, Case]] = []
        groups = [cases[i : i + TOGETHER] for i in range(0, len(cases), TOGETHER)]
        for group in groups:
            for own in sides.values():
                own.ask(build=[asdict(case) for case in group])
            for case, row in zip(group, rows(group, sides, rounds), strict=True):
                say(**row)
                behind.append((row.get("ratio_eager", 0.0), case))
        if compiled:
            sides["ours"].ask(build=[asdict(case) for case in inductor])
            for row in rows(inductor, {"ours": sides["ours"], **compiled}, rounds):
                say(**row)
        slowest = [case for _, case in sorted(behind, key=lambda one: one[0])[:TRACED]]
        for case, found in zip(slowest, traced(slowest, sides["ours"]), strict=True):
            say(slowest=f"{case.name} {case.kind}", size=case.size, **found)


if __name__ == "__main__":
    main()
