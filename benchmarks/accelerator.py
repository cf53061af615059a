"""What an accelerator makes of this: whether it is right, how fast it is, and what it learns.

  python benchmarks/accelerator.py                          eight minutes on one GPU
  python benchmarks/accelerator.py --short                  three minutes on a CPU, to try it
  python benchmarks/accelerator.py --parts=card,beside      some of its parts

Parts, the most telling first, are processes of their own with a time limit each:

  right     steps, synthesis and metrics of every system equal the CPU's within tolerances
  card      the rates of matrix products and copies, which limit the rest
  beside    training steps and networks in use beside PyTorch's, in turn
  learning  what the drawn lecturer's model learns in two minutes, and a talking face's in one
  speaking  frames a second from sound to pictures, and the latency of live speech
  choices   what XLA's own choices change: three minutes more, where it is asked for

What is measured is written to --out at once, so that a run that is cut short still tells. Neither
TensorFlow nor a decoder of sound is needed; speaking also measures the encoder where PyAV is there,
and beside only our side where PyTorch is not. The times of --short mean nothing. Exits with 1 where
a part failed or is not right. `python benchmarks/table.py FILE` makes the tables.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compare import device

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Seconds, of which a part takes what it needs.
LIMITS = {"right": 60, "card": 30, "beside": 180, "learning": 300, "speaking": 45}
# Parts that are asked for by name.
MORE = {"choices": 240}
# A machine that has other work too takes its time to compile.
SHORT_LIMIT = 600
VERSIONS = "jax jaxlib jax-cuda12-plugin jax-cuda13-plugin flax optax orbax-checkpoint numpy torch"
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1", "TQDM_DISABLE": "1"}
# A trial's programs are compiled quickly and run slowly.
QUICKLY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def versions() -> dict[str, str]:
    """Of the packages that the numbers depend on, where they are installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in VERSIONS.split():
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def measure(name: str, limit: float, short: bool, out: Path, cache: str) -> Iterator[dict]:
    """The rows that a part prints, a JSON line each, until it ends or its time is over; the last
    says how it ended."""
    command = [sys.executable, str(HERE / f"{name}.py"), f"--out={out}"]
    # Programs that one part compiled are there for the next one; none is from before.
    environment = {**os.environ, **ENVIRONMENT, "JAX_COMPILATION_CACHE_DIR": cache}
    if short:
        environment.setdefault("XLA_FLAGS", QUICKLY)
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        part = subprocess.Popen(
            command + ["--short"] * short,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            cwd=ROOT,
            start_new_session=True,  # its own processes end with it
        )
        over = threading.Event()

        def stop() -> None:
            over.set()
            os.killpg(part.pid, 9)

        timer = threading.Timer(limit, stop)
        timer.start()
        try:
            assert part.stdout is not None
            for line in part.stdout:
                try:
                    yield json.loads(line)
                except ValueError:  # what a library says
                    print(f"  {line.rstrip()}", flush=True)
            code = part.wait()
        finally:
            timer.cancel()
            if part.poll() is None:
                os.killpg(part.pid, 9)
                part.wait()
        errors.seek(0)
        said = errors.read().strip().splitlines()
    ended = "done" if code == 0 else f"after {limit:.0f} s" if over.is_set() else "failed"
    yield {"ended": ended, "seconds": round(time.monotonic() - began, 1)} | (
        {"error": "\n".join(said[-12:])} if ended == "failed" else {}
    )


def shown(row: dict[str, Any]) -> str:
    """A row for the terminal."""
    values = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
    return ", ".join(values)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="the same in small, for a CPU")
    parser.add_argument("--parts", default=",".join(LIMITS), help="[%(default)s]; also choices")
    parser.add_argument(
        "--out", type=Path, help="[benchmarks/results_accelerator.json; short: runs/...]"
    )
    flags = parser.parse_args()
    chosen = flags.parts.split(",")
    limits = dict.fromkeys({**LIMITS, **MORE}, SHORT_LIMIT) if flags.short else {**LIMITS, **MORE}
    if unknown := set(chosen) - set(limits):
        parser.error(f"--parts: there is no {', '.join(unknown)}; choose from {', '.join(limits)}.")
    folder = ROOT / "runs" if flags.short else HERE
    out = (flags.out or folder / "results_accelerator.json").absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "device": device(),
        "date": datetime.date.today().isoformat(),
        "short": flags.short,
        "versions": versions(),
        "parts": {},
    }
    good, began = True, time.monotonic()
    with tempfile.TemporaryDirectory() as cache:
        for name in chosen:
            limit = limits[name]
            print(f"{name}: at most {limit} s", flush=True)
            part: dict[str, Any] = {"rows": []}
            results["parts"][name] = part
            for row in measure(name, limit, flags.short, out, cache):
                if "ended" in row:
                    part |= row
                else:
                    part["rows"].append(row)
                    good &= row.get("right", True)
                out.write_text(json.dumps(results, indent=1) + "\n")
                print(f"  {time.monotonic() - began:5.0f} s  {shown(row)}", flush=True)
            good &= part["ended"] != "failed"
    print(f"{out}: {time.monotonic() - began:.0f} s")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
