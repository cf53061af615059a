"""The README's table of speed, from what compare.py wrote.

python benchmarks/table.py [RESULTS]
"""

import json
import sys
from pathlib import Path
from typing import Any

COLUMNS = [(d, b) for d in ("float32", "bfloat16") for b in ("eager", "compiled")]


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


if __name__ == "__main__":
    path = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).with_name("results.json")
    results = json.loads(path.read_text())
    for device in dict.fromkeys(r["device"] for r in results):
        print(f"{device}:\n")
        print("| | size, batch | float32 ms | eager | compiled | bf16 ms | eager | compiled |")
        print("|---|---|---|---|---|---|---|---|")
        print("\n".join(rows([r for r in results if r["device"] == device])))
