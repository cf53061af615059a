"""Tables of speed in Markdown, from what compare.py or accelerator.py wrote.

python benchmarks/table.py [RESULTS]
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

COLUMNS = [(d, b) for d in ("float32", "bfloat16") for b in ("eager", "compiled")]
PRECISIONS = {"float32": "float32", "tf32": "TF32", "bfloat16": "bfloat16"}
# Numbers of what was learned, and what they are called.
LEARNED = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "hands_psnr": "hands",
    "mouth_psnr": "mouth",
    "mouth_correlation": "mouth's correlation",
    "mouth_movement": "its movement",
}


def rows(results: list[dict[str, Any]]) -> list[str]:
    """A line for each case: ours in milliseconds, and how many times as long PyTorch takes."""
    lines: dict[tuple[Any, ...], dict[tuple[str, str], dict[str, Any]]] = {}
    for r in results:
        case = r["name"], r["pass"], r["size"], r["batch"]
        lines.setdefault(case, {})[r["dtype"], r["baseline"]] = r
    table = []
    for (name, kind, size, batch), found in lines.items():
        cells = []
        for dtype, baseline in COLUMNS:
            r = found.get((dtype, baseline))
            if baseline == "eager":
                cells.append(
                    f"{round(r['ours_ms'], 1 if r['ours_ms'] < 100 else None)}" if r else "–"
                )
            cells.append(f"{r['ratio']:.2f}" if r else "–")
        where = f"{size} px, " if size else ""
        what = name if name == kind else f"{name} {kind}"
        table.append(f"| {what} | {where}{batch} | {' | '.join(cells)} |")
    return table


def processor_tables(results: list[dict[str, Any]]) -> Iterator[str]:
    """A table for each device of compare.py's results."""
    for device in dict.fromkeys(r["device"] for r in results):
        yield f"{device}:\n"
        yield "| | size, batch | float32 ms | eager | compiled | bf16 ms | eager | compiled |"
        yield "|---|---|---|---|---|---|---|---|"
        yield from rows([r for r in results if r["device"] == device])


def accelerator_tables(results: dict[str, Any]) -> Iterator[str]:
    """The tables of what accelerator.py measured, each part's below what it ran on."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    short = " A trial: its times mean nothing." if results["short"] else ""
    yield f"{results['device']}, {results['date']}: {versions}.{short}"
    parts = {name: part["rows"] for name, part in results["parts"].items()}
    for name, part in results["parts"].items():
        if part.get("ended") != "done":
            yield f"\n`{name}` ended {part.get('ended', 'before its time')}."
    if "right" in parts:
        yield from _right(parts["right"])
    rates = {row["rate"]: row for row in parts.get("card", [])}
    if rates:
        yield from _card(rates)
    for dtype in ("bfloat16", "float32"):
        yield from _beside(parts.get("beside", []), dtype, rates)
    yield from _slowest(parts.get("beside", []))
    yield from _learning(parts.get("learning", []))
    yield from _speaking(parts.get("speaking", []))
    yield from _choices(parts.get("choices", []))
    for part in parts.values():
        yield from _failures(part)


def _table(header: Iterable[str], lines: Iterable[Iterable[Any]]) -> Iterator[str]:
    header = list(header)
    yield f"\n| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    for line in lines:
        yield f"| {' | '.join(map(str, line))} |"


def _shown(value: float | None, digits: int = 3) -> str:
    """A number with as many digits that count, whole from a hundred on."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def _right(part: list[dict[str, Any]]) -> Iterator[str]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in part:
        mark = "" if row["right"] else " (**not right**)"
        apart = [row[name] for name in ("deviation", "second_step") if row.get(name) is not None]
        line = found.setdefault((row["kind"], row["what"]), {})
        line[row["precision"]] = ", ".join(f"{x:.0e}" for x in apart) + mark
    yield from _table(
        ("largest relative deviation (of a second step)", *PRECISIONS.values()),
        ((" ".join(key), *(line.get(p, "–") for p in PRECISIONS)) for key, line in found.items()),
    )


def _card(rates: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    products = (f"{PRECISIONS[p]} {_shown(rates[p]['tflops'])}" for p in PRECISIONS if p in rates)
    copies = (f"{name} {_shown(row['gb_s'])}" for name, row in rates.items() if "gb_s" in row)
    yield f"\nProducts in TFLOP/s: {', '.join(products)}. GB/s: {', '.join(copies)}."


def _beside(
    part: list[dict[str, Any]], dtype: str, rates: Mapping[str, Mapping[str, float]]
) -> Iterator[str]:
    """A line for each case; PyTorch's times over ours, and what of the device's rate is reached."""
    cases: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in part:
        if "pass" in row and row["dtype"] == dtype:
            key = row["name"], row["pass"], row["size"], row["batch"]
            # A case that Inductor compiles comes a second time, without what stands here.
            cases[key] = {**row, **cases.get(key, {})}
    name = "bfloat16" if dtype == "bfloat16" else "tf32"
    lines = []
    for (case, kind, size, batch), row in cases.items():
        share = None
        if "gflop" in row and "ours_ms" in row and name in rates:
            share = row["gflop"] / row["ours_ms"] / rates[name]["tflops"]
        memory = (row.get(f"{side}_peak_gb") or None for side in ("ours", "eager"))
        lines.append(
            (
                f"{case} {kind}",
                f"{size} px, {batch}" if size else batch,
                _shown(row.get("ours_ms")),
                *(_shown(row.get(f"ratio_{baseline}")) for baseline in ("eager", "compiled")),
                "–" if share is None else f"{share:.0%}",
                " / ".join(_shown(x) for x in memory),
                _shown(row.get("ours_compile_s")),
            )
        )
    if lines:
        header = (f"{PRECISIONS[name]}", "size, batch", "ms", "eager", "compiled")
        more = ("of the rate of products", "GB, ours / PyTorch's", "to compile, s")
        yield from _table((*header, *more), lines)


def _slowest(part: list[dict[str, Any]]) -> Iterator[str]:
    for row in part:
        if longest := row.get("operations"):
            shown = ", ".join(f"`{one['operation']}` {one['share']:.0%}" for one in longest[:4])
            where = f"{row['size']} px, {row['batch']}" if row["size"] else row["batch"]
            yield f"\nLongest in {row['slowest']} ({where}, {row['dtype']}): {shown}."


def _failures(part: list[dict[str, Any]]) -> Iterator[str]:
    """What did not work, a line each."""
    for row in part:
        for name in (name for name in row if name == "error" or name.endswith("_error")):
            what = " ".join(str(row[k]) for k in ("what", "name", "pass", "dtype") if k in row)
            yield f"\n{what}: {name.removesuffix('_error')}: {row[name]}"


def _choices(part: list[dict[str, Any]]) -> Iterator[str]:
    """Each choice's milliseconds over those of XLA as it is."""
    key = lambda row: (row["name"], row["pass"])  # noqa: E731
    plain = {key(row): row.get("ours_ms") for row in part if row["choice"] == "as it is"}
    lines: dict[str, dict[tuple[str, str], float | None]] = {}
    for row in part:
        known, own = plain.get(key(row)), row.get("ours_ms")
        line = lines.setdefault(f"{row['choice']} `{row['flags']}`", {})
        line[key(row)] = own / known if known and own else None
    if part:
        yield from _table(
            ("flags of XLA, times over those without", *(" ".join(case) for case in plain)),
            ((name, *(_shown(line.get(case)) for case in plain)) for name, line in lines.items()),
        )


def _learning(part: list[dict[str, Any]]) -> Iterator[str]:
    for row in part:
        if "setting" in row:
            yield f"\n{row['system']} learns with {row['setting']}."
    stages = [row for row in part if "stage" in row]
    if stages:
        yield from _table(
            ("stage", "batch", "steps", "ms a step", "examples a second", "seconds in all"),
            (
                (row["stage"], row["batch"], row["steps"])
                + tuple(_shown(row[name]) for name in ("ms", "examples_per_s", "seconds"))
                for row in stages
            ),
        )
    measured = [row for row in part if "measured" in row]
    if measured:
        yield from _table(
            ("held out", *LEARNED.values(), "PSNR of one picture"),
            (
                (f"{row['system']} {row['measured']}",)
                + tuple(_shown(row.get(name)) for name in LEARNED)
                + (_shown(row.get("mean_frame_psnr") or row.get("still_psnr")),)
                for row in measured
            ),
        )


def _speaking(part: list[dict[str, Any]]) -> Iterator[str]:
    if part:
        yield from _table(
            ("from sound", "size", "frames a second", "first frame, ms", "median, 95%, ms"),
            (
                (
                    f"{row['what']}, {row['dtype']}",
                    f"{row['size']} px",
                    _shown(row.get("fps")),
                    _shown(row.get("first_ms")),
                    f"{_shown(row['median_ms'])}, {_shown(row['late_ms'])}"
                    if "median_ms" in row
                    else "–",
                )
                for row in part
            ),
        )


if __name__ == "__main__":
    path = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).with_name("results.json")
    try:
        results = json.loads(path.read_text())
        make = accelerator_tables if isinstance(results, dict) else processor_tables
        lines = list(make(results))
    except (OSError, ValueError, LookupError, TypeError):
        sys.exit(f"{path} holds no results: name a file of compare.py or accelerator.py.")
    print(*lines, sep="\n")
