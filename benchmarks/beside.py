"""Training steps and networks in use beside PyTorch's, in turn; a part of accelerator.py.

Both sides are a process each, on the same device, and build some cases at a time; while one builds,
nothing is timed. Then each case's rounds go A B A B. A GPU's float32 is TensorFloat-32 on both
sides. Where PyTorch is not there, or not on this device, our side is measured alone. Of each group
the case that is furthest behind is traced.
"""

import argparse
import contextlib
import importlib.util
import statistics
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import systems
from cases import Case
from rounds import say
from sides import Side

ROUND_SECONDS, TOGETHER = 0.3, 8


def full() -> tuple[list[Case], list[Case]]:
    """The cases, the most telling first, and those that Inductor compiles too."""
    modules = systems.modules("cases").values()
    cases = [
        case
        for dtype in ("bfloat16", "float32")
        for module in modules
        for case in module.telling(dtype)
    ]
    more = [case for module in modules for case in module.more()]
    compiled = [case for module in modules for case in module.compiled()]
    return cases + more, compiled


def short() -> tuple[list[Case], list[Case]]:
    """Some of each system in small, and what Inductor compiles in seconds: without pictures."""
    modules = systems.modules("cases").values()
    sizes = {name: size for module in modules for name, size in module.SHORT.items()}
    cases = [
        replace(case, size=sizes[case.name], batch=1, width=4, cells=8)
        for case in full()[0]
        if case.name in sizes and case.dtype == "float32"
    ]
    cases = list(dict.fromkeys(cases))
    return cases, [case for case in cases if case.kind == "forward" and not case.size]


def rows(cases: list[Case], sides: dict[str, Side], rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each case, as soon as it is measured; a side that has ended is taken out."""
    facts: dict[str, list[dict[str, Any]]] = {}
    for name in [*sides]:  # one after the other: both look for the fastest algorithms
        facts[name] = _asked(sides, name, build=[asdict(case) for case in cases]) or []
    for i, case in enumerate(cases):
        row: dict[str, Any] = {
            "name": case.name,
            "pass": case.kind,
            "size": case.size or None,
            "batch": case.batch,
            "dtype": case.dtype,
        }
        platform = facts["ours"][i].get("platform") if facts["ours"] else None
        able = []
        for name, known in facts.items():
            own = dict(known[i]) if known else {"error": "the process has ended"}
            if own.pop("platform", platform) != platform:
                own = {"error": f"it has no {platform}"}
            row |= {k if k == "gflop" else f"{name}_{k}": x for k, x in own.items()}
            able += [name] if "error" not in own else []
        timed: dict[str, list[dict[str, float]]] = {name: [] for name in able}
        for _ in range(rounds):
            for name in able:
                found = _asked(sides, name, round=i, seconds=ROUND_SECONDS)
                if found and "error" not in found:
                    timed[name].append(found)
                else:
                    row[f"{name}_error"] = found["error"] if found else "the process has ended"
        for name, found in timed.items():
            if found and f"{name}_error" not in row:
                row[f"{name}_ms"] = statistics.median(one["ms"] for one in found)
                if found[0]["peak_bytes"] is not None:
                    row[f"{name}_peak_gb"] = max(one["peak_bytes"] for one in found) / 1e9
        for name in facts:
            if name != "ours" and f"{name}_ms" in row and "ours_ms" in row:
                row[f"ratio_{name}"] = row[f"{name}_ms"] / row["ours_ms"]
        yield {**row, "platform": platform}


def _asked(sides: dict[str, Side], name: str, **what: Any) -> Any:
    """A side's answer; None where it has ended, which takes it out of the sides."""
    try:
        sides[name].ask(**what)
        return sides[name].answer()
    except (KeyError, RuntimeError):
        sides.pop(name, None)
        return None


def traced(number: int, case: Case, sides: dict[str, Side]) -> dict[str, Any]:
    """What our side's time goes into in a step of this case, of those that are built."""
    found = _asked(sides, "ours", trace=number)
    return {
        "slowest": f"{case.name} {case.kind}",
        "size": case.size or None,
        "batch": case.batch,
        "dtype": case.dtype,
        "operations": found if isinstance(found, list) else [],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    small = parser.parse_args().short
    cases, inductor = short() if small else full()
    groups = [cases[i : i + TOGETHER] for i in range(0, len(cases), TOGETHER)]
    with_torch = importlib.util.find_spec("torch") is not None
    scripts: dict[str, tuple[str, ...]] = {"ours": ("ours.py", "many")}
    if with_torch:
        scripts["eager"] = ("twin.py", "many", "eager")
    with contextlib.ExitStack() as opened:
        sides = {
            name: opened.enter_context(contextlib.closing(Side(*script)))
            for name, script in scripts.items()
        }
        for number, group in enumerate(groups):
            rounds, behind = 1 if small else 3 if number < 2 else 2, []
            for i, row in enumerate(rows(group, sides, rounds)):
                say(**row)
                if "ratio_eager" in row:
                    behind.append((row["ratio_eager"], i))
            if behind:
                _, furthest = min(behind)
                say(**traced(furthest, group[furthest], sides))
            if with_torch and "ours" in sides and number == min(1, len(groups) - 1):
                # One at a time: Inductor takes its time.
                with contextlib.closing(Side("twin.py", "many", "compiled")) as compiled:
                    for case in inductor:
                        both = {"ours": sides["ours"], "compiled": compiled}
                        for row in rows([case], both, rounds):
                            say(**row)


if __name__ == "__main__":
    main()
