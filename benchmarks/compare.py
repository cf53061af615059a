"""The networks here and in PyTorch, in turn on the same machine: medians and ratios.

  python benchmarks/compare.py --out=benchmarks/results.json

Each side is a process of its own. Two cases are built at a time, and measured one after the
other. Rounds go A B A B ...; one in which other work took more than a tenth of the processors is
thrown away and done again, since it slows PyTorch more than JAX. Before that, both sides take the
same step on the same numbers and must agree.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from cases import Case, case_names, grid
from sides import HERE, Side
from tqdm import tqdm

from lumiere_jax.runtime.compiled_programs import keep_compiled

ROUNDS, TRIES, FOREIGN = 5, 15, 0.1
# So many tell as much where a round is one step alone.
FEWEST = 3
REST = 0.1  # a thread that waits for work spins for some milliseconds
# Sums in another order, and bfloat16's eight bits: what two right computations may differ by.
AGREE = {"float32": 1e-3, "bfloat16": 3e-2}


class Timed(Side):
    """A process that has built one case, and runs rounds of it when asked."""

    def round(self) -> dict[str, float]:
        """A round's times, and the share of the processors that others had in it."""
        time.sleep(REST)
        began = busy_seconds()
        self.ask()
        answer = self.answer()
        others = busy_seconds() - began - answer["own_s"]
        return {**answer, "foreign": others / (answer["wall_s"] * (os.cpu_count() or 1))}


def busy_seconds() -> float:
    """What all processors together have worked since the start, and what the host took away."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def check(cases: list[Case], baseline: str) -> Iterator[tuple[Case, float]]:
    """The largest deviation between both sides of each; RuntimeError where one is too large."""
    text = json.dumps([asdict(case) for case in cases])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, HERE / "ours.py", text, folder], check=True)
        command = [sys.executable, HERE / "twin.py", text, baseline, folder]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split()
    for case, found in zip(cases, map(float, told), strict=True):
        if not found <= AGREE[case.dtype]:
            raise RuntimeError(f"{case}: {baseline} PyTorch deviates by {found:.1e}")
        yield case, found


def checked(cases: list[Case]) -> None:
    """Says how far both sides agree; two processes at a time, since nothing is timed yet."""
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda own: list(check(own, "eager")), (cases[::2], cases[1::2])):
            for case, deviation in found:
                tqdm.write(f"{case.name} {case.kind} {case.dtype}: agree to {deviation:.0e}")


def compare(
    cases: list[tuple[Case, list[str]]], foreign: float, rounds: int = ROUNDS
) -> Iterator[list[dict]]:
    """The results of each case beside its baselines; all are built before the first is measured."""
    with contextlib.ExitStack() as stack:
        begun = []
        for case, baselines in cases:
            text = json.dumps(asdict(case))
            sides = {"ours": Timed("ours.py", text)}
            sides |= {name: Timed("twin.py", text, name) for name in baselines}
            for side in sides.values():
                stack.callback(side.close)
            begun.append((case, sides))
        steps = [{name: side.answer()["steps"] for name, side in s.items()} for _, s in begun]
        for (case, sides), own in zip(begun, steps, strict=True):
            enough = min(rounds, FEWEST) if own["ours"] == 1 else rounds
            yield measured(case, sides, enough, foreign)


def measured(case: Case, sides: dict[str, Timed], enough: int, foreign: float) -> list[dict]:
    """A result for each baseline; medians of the rounds that nothing disturbed."""
    good: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(TRIES):
        rounds = {name: side.round() for name, side in sides.items()}
        if max(r["foreign"] for r in rounds.values()) > foreign:
            time.sleep(2)
            continue
        for name, r in rounds.items():
            good[name].append(r["ms"])
        if len(good["ours"]) == enough:
            break
    if len(good["ours"]) < min(enough, FEWEST):
        tqdm.write(f"{case}: other work disturbed the rounds; run again on a free machine")
        return []
    ms = {name: statistics.median(times) for name, times in good.items()}
    ours = ms.pop("ours")
    return [
        {
            "name": case.name,
            "pass": case.kind,
            "baseline": baseline,
            "device": device(),
            "dtype": case.dtype,
            "size": case.size or None,
            "batch": case.batch,
            "ours_ms": round(ours, 3),
            "torch_ms": round(theirs, 3),
            "ratio": round(theirs / ours, 3),
        }
        for baseline, theirs in ms.items()
    ]


def groups(cases: list[Case]) -> Iterator[list[Case]]:
    """Two at a time in their order, unless they have more pixels than the largest alone: the memory
    of that one is enough for all."""
    most, group = max(map(_pixels, cases)), []
    for case in cases:
        if len(group) == 2 or sum(map(_pixels, [*group, case])) > most:
            yield group
            group = []
        group.append(case)
    yield group


def _pixels(case: Case) -> int:
    return case.size**2 * case.batch


def device() -> str:
    """The processor's name, or the accelerator's."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return found.splitlines()[0].strip()
    names = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x]
    model = names[0].split(":")[1].strip() if names else platform.processor()
    return f"{model}, {os.cpu_count()} cores"


def _read(path: Path) -> dict[tuple, dict]:
    """What was measured before, which stays where it is not measured again."""
    known = json.loads(path.read_text()) if path.exists() else []
    return {_key(result): result for result in known}


def _key(result: dict) -> tuple:
    return tuple(x for name, x in result.items() if name not in ("ours_ms", "torch_ms", "ratio"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    parser.add_argument("--names", default=",".join(case_names()))
    parser.add_argument("--passes", default="forward,train,synthesis,streaming")
    parser.add_argument("--sizes", default="128,256")
    parser.add_argument("--batches", default="1,4")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--baselines", default="eager,compiled")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="0 only checks that they agree")
    parser.add_argument("--foreign", type=float, default=FOREIGN, help="share of others' work")
    parser.add_argument("--check", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    split = lambda text: text.split(",")  # noqa: E731
    sizes, batches = ([int(n) for n in split(x)] for x in (arguments.sizes, arguments.batches))
    cases = [
        case
        for case in grid(sizes, batches, split(arguments.dtypes))
        if case.name in split(arguments.names) and case.kind in split(arguments.passes)
    ]
    if not cases:
        parser.error("no case has such a name, pass, size, batch and dtype (see --help).")
    if importlib.util.find_spec("torch") is None:
        parser.error("PyTorch is not installed: make torch.")
    baselines, results = split(arguments.baselines), _read(arguments.out)
    # Inductor takes minutes for a step: beside eager PyTorch, the smallest cases alone.
    small = [c for c in cases if c.batch == min(batches) and c.size in (0, min(sizes))]
    chosen = lambda c: [b for b in baselines if b == "eager" or c in small or len(baselines) == 1]  # noqa: E731
    keep_compiled()  # for the sides, which inherit where
    if arguments.check:
        checked([*{(c.name, c.kind, c.dtype): c for c in cases}.values()])
    with tqdm(total=len(cases), unit="case") as bar:
        for group in groups(cases) if arguments.rounds else ():
            both = [(case, chosen(case)) for case in group]
            for found in compare(both, arguments.foreign, arguments.rounds):
                for result in found:
                    results[_key(result)] = result
                    tqdm.write(json.dumps(result))
                arguments.out.write_text(json.dumps([*results.values()], indent=1) + "\n")
                bar.update()


if __name__ == "__main__":
    main()
