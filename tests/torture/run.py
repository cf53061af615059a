"""Tries to break every promise about losing work, hostile input and marks, and counts.

  python tests/torture/run.py [--only=kills,disk,...] [--short] [--seed=0] [--folder=DIR] [--jobs=N]

Prints a table (promise, tries, failures) that ends with the totals, and exits with 1 on any
failure. Two tortures run at a time, each in a process and a folder of its own; what one says is
printed when it ends. All of it takes about 35 minutes on two cores; --short makes a
tenth of the tries, in about twelve.
"""

import argparse
import dataclasses
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:1] = [str(HERE.parents[1]), str(HERE.parent)]
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from torture.rows import Row  # noqa: E402
from torture.tally import say  # noqa: E402

INPUTS = 10_000
# More would wait for one another, and slow what is told to be done within seconds.
JOBS = min(2, os.cpu_count() or 1)


def _usual(module: Any, folder: Path, seed: int, short: bool) -> Iterable[Row]:
    return module.torture(folder, seed, short)


def _fuzz(module: Any, folder: Path, seed: int, short: bool) -> Iterable[Row]:
    return module.fuzz(INPUTS // 10 if short else INPUTS, seed, folder)


# The module of each, and how it is asked; the longest begin first.
TORTURES: dict[str, tuple[str, Callable[..., Iterable[Row]]]] = {
    "kills": ("kills", _usual),
    "disk": ("disk", _usual),
    "locks": ("locks", _usual),
    "preflight": ("preflight", _usual),
    "promises": ("promises", _usual),
    "fuzz": ("fuzz", _fuzz),
    "marks": ("marks", _usual),
    "soak": ("soak", _usual),
}
LONGEST = ("kills", "soak", "fuzz")


def main() -> int:
    """Runs the chosen tortures, prints their rows and gives the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(TORTURES), help=f"some of {','.join(TORTURES)}")
    parser.add_argument("--short", action="store_true", help="a tenth of the tries")
    parser.add_argument("--seed", type=int, default=0, help="other moments, other inputs")
    parser.add_argument("--folder", type=Path, help="keeps what is made there, to look at")
    parser.add_argument("--jobs", type=int, default=JOBS, help="so many at a time")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)  # of a torture in a process
    given = parser.parse_args()
    chosen = given.only.split(",")
    if unknown := [name for name in chosen if name not in TORTURES]:
        parser.error(f"--only={given.only}: there is no '{unknown[0]}', only {','.join(TORTURES)}")
    if given.jobs < 1:
        parser.error(f"--jobs={given.jobs}: use 1 or more")
    base = (given.folder or Path(tempfile.mkdtemp())).resolve()
    if given.rows:
        rows = tortured(given.only, base / given.only, given.seed, given.short)
        given.rows.write_text(json.dumps([dataclasses.asdict(row) for row in rows]))
        return 0
    base.mkdir(parents=True, exist_ok=True)
    os.environ["LUMIERE_JAX_CACHE"] = str(base / "cache")  # what one compiles, the next reads
    rows = together(chosen, base, given.jobs, f"--seed={given.seed}", *["--short"] * given.short)
    print(table(rows))
    failed = any(row.failures for row in rows)
    if failed:
        say(f"what failed is in {base}")
    elif given.folder is None:
        shutil.rmtree(base, ignore_errors=True)
    return int(failed)


def together(chosen: list[str], base: Path, jobs: int, *flags: str) -> list[Row]:
    """The rows of the chosen ones, in their order, from so many processes at a time."""
    in_turn = sorted(chosen, key=lambda name: name not in LONGEST)
    with ThreadPoolExecutor(jobs) as pool:
        told = {name: pool.submit(alone, name, base, *flags) for name in in_turn}
        return [row for name in chosen for row in told[name].result()]


def alone(name: str, base: Path, *flags: str) -> list[Row]:
    """The rows of a torture in a process of its own, whose end without rows is a failure."""
    rows = base / f"{name}.json"
    rows.unlink(missing_ok=True)  # of another run in this folder
    command = [sys.executable, __file__, f"--only={name}", f"--folder={base}", f"--rows={rows}"]
    say(f"{name} begins")
    done = subprocess.run(
        [*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    sys.stderr.write(done.stdout)
    sys.stderr.flush()
    if rows.exists():
        return [Row(**row) for row in json.loads(rows.read_text())]
    return [Row(f"{name}: broke off", 1, 1, f"exit code {done.returncode}: {done.stdout[-200:]}")]


def tortured(name: str, folder: Path, seed: int, short: bool) -> list[Row]:
    """The rows of a torture; one that cannot be run, or is not there, is a failure."""
    say(f"== {name}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        module, ask = TORTURES[name]
        return list(ask(importlib.import_module(f"torture.{module}"), folder, seed, short))
    except Exception as error:
        traceback.print_exc()
        missing = getattr(error, "name", None) == f"torture.{TORTURES[name][0]}"
        what = "MISSING" if missing else "broke off"
        return [Row(f"{name}: {what}", 1, 1, f"{type(error).__name__}: {error}")]


def table(rows: list[Row]) -> str:
    """The rows in columns, and their totals."""
    total = Row("total", sum(r.tries for r in rows), sum(r.failures for r in rows))
    width = max(len(row.promise) for row in [*rows, total])
    lines = [f"{'promise':{width}}  {'tries':>6}  {'failures':>8}  note"]
    for row in [*rows, total]:
        note = " ".join(row.note.split())
        lines.append(f"{row.promise:{width}}  {row.tries:>6,}  {row.failures:>8,}  {note}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
