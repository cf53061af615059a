"""What an accelerator makes of this: whether it is right, how fast it is, and what it learns.

  python benchmarks/accelerator.py                          at most ten minutes on one GPU
  python benchmarks/accelerator.py --short                  three to four minutes on two cores
  python benchmarks/accelerator.py --parts=card,beside      some of its parts

Parts, the most telling first, are processes of their own with a time limit each:

  right     steps, synthesis, features and metrics equal the CPU's within tolerances
  card      the rates of matrix products and copies, which limit the rest
  beside    training steps and networks in use beside PyTorch's, in turn
  learning  what each system's model learns of drawn clips in a minute or two
  speaking  LumièreNet's frames a second from sound to pictures, and the latency of its live speech
  choices   what XLA's own choices change: four minutes more, where it is asked for

What is measured is written to --out at once, so a run that is cut short still tells; parts that
are measured later join it. Neither TensorFlow nor a decoder of sound is needed. `speaking` measures
the encoder too where PyAV is installed, `beside` our side alone where PyTorch is not. The times of
--short mean nothing. Exits with 1 where a part failed or is not right.
`python benchmarks/table.py FILE` makes the tables.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compare import device
from sides import ENVIRONMENT, HERE, QUICKLY

from lumiere_jax.errors import UserError, reason
from lumiere_jax.files import write_whole

ROOT = HERE.parent
# Seconds, of which a part takes what it needs.
LIMITS = {"right": 75, "card": 20, "beside": 190, "learning": 270, "speaking": 45}
# Parts that are asked for by name.
MORE = {"choices": 240}
# A machine that has other work too takes its time to compile.
SHORT_LIMIT = 600
# The packages that the numbers depend on.
PACKAGES = "jax jaxlib jax-cuda12-plugin jax-cuda13-plugin flax optax orbax-checkpoint numpy torch"
PLATFORM = "import jax; d = jax.devices()[0]; print(d.platform, d.device_kind, sep='\\n')"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that are installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES.split():
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def environment(short: bool) -> dict[str, str]:
    """The variables of all parts: one accelerator, whose memory each part takes for itself."""
    own = {k: x for k, x in ENVIRONMENT.items() if "PREALLOCATE" not in k}
    found = {**os.environ, **own, "PYTHONUNBUFFERED": "1"}
    quickly = " ".join(f"--{name}={str(value).lower()}" for name, value in QUICKLY.items())
    return {"XLA_FLAGS": quickly, **found} if short else found


def measure(
    command: list[str], limit: float, variables: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """The rows that a part prints, a JSON object each, until it ends or its time is over; the last
    says how it ended."""
    began, over = time.monotonic(), threading.Event()
    with tempfile.TemporaryFile("w+") as errors:
        part = subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=variables,
            cwd=ROOT,
            start_new_session=True,  # the processes that it starts end with it
        )

        def stop() -> None:
            over.set()
            os.killpg(part.pid, signal.SIGKILL)

        timer = threading.Timer(limit, stop)
        timer.start()
        try:
            assert part.stdout is not None
            for line in part.stdout:
                row = _row(line)
                if row is None:
                    print(f"  {line.rstrip()}", flush=True)  # what a library says
                else:
                    yield row
            code = part.wait()
        finally:
            timer.cancel()
            if part.poll() is None:
                stop()
                part.wait()
        errors.seek(0)
        said = errors.read().strip().splitlines()[-12:]
    ended = "done" if code == 0 else f"after {limit:.0f} s" if over.is_set() else "failed"
    failure = {"error": "\n".join(said)} if ended == "failed" else {}
    yield {"ended": ended, "seconds": round(time.monotonic() - began, 1), **failure}


def _row(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def shown(row: dict[str, Any]) -> str:
    """A row for the terminal."""
    values = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
    return ", ".join(values)


def is_good(name: str, part: dict[str, Any]) -> bool:
    """Whether a part ended well: our side works, and what is right was seen whole."""
    if part["ended"] == "failed" or name == "right" and part["ended"] != "done":
        return False
    return all(row.get("right", True) and "ours_error" not in row for row in part["rows"])


def begun(out: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The results to add to: those in `out`, where they are of the same device and versions."""
    try:
        known = json.loads(out.read_text())
        same = {name: known[name] for name in facts} == facts
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    today = datetime.date.today().isoformat()
    return {**facts, "date": today, "parts": known["parts"] if same else {}}


def accelerator(variables: dict[str, str], short: bool) -> str:
    """The name of the device that JAX takes; UserError where it should be an accelerator."""
    # In a process of its own, because it would hold the device.
    probe = [sys.executable, "-c", PLATFORM]
    told = subprocess.run(probe, capture_output=True, env=variables, text=True)
    if told.returncode:
        raise UserError(f"JAX does not start here: {told.stderr.strip().splitlines()[-1]}")
    platform, kind = told.stdout.splitlines()[-2:]
    if platform == "cpu" and not short:
        raise UserError("JAX finds no accelerator here: install its plugin, or add --short.")
    return device() if platform == "cpu" else kind


def run(chosen: list[str], limits: dict[str, float], short: bool, out: Path) -> bool:
    """Runs the parts, writes what they measure and says whether all is good.

    Raises:
      UserError: JAX has no accelerator.
      OSError: the results cannot be written.
    """
    variables, began, good = environment(short), time.monotonic(), True
    facts = {"device": accelerator(variables, short), "short": short, "versions": versions()}
    results = begun(out, facts)

    def write() -> None:
        write_whole(out, json.dumps(results, indent=1) + "\n")

    write()
    with tempfile.TemporaryDirectory() as cache:
        # Programs that one part compiled are there for the next one; none is from before.
        variables["JAX_COMPILATION_CACHE_DIR"] = cache
        for name in chosen:
            print(f"{name}: at most {limits[name]:.0f} s", flush=True)
            part = results["parts"][name] = {"ended": "before its time", "rows": []}
            write()
            command = [str(HERE / f"{name}.py")] + ["--short"] * short
            if name == "learning":
                command.append(f"--sheets={out.with_suffix('')}")
            for row in measure(command, limits[name], variables):
                if "ended" in row:
                    part |= row
                else:
                    part["rows"].append(row)
                write()
                print(f"  {time.monotonic() - began:5.0f} s  {shown(row)}", flush=True)
            good &= is_good(name, part)
    print(f"{out}: {time.monotonic() - began:.0f} s")
    return good


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
    limits = {**LIMITS, **MORE}
    chosen = [name.strip() for name in flags.parts.split(",")]
    if unknown := [name for name in chosen if name not in limits]:
        parser.error(f"--parts: there is no '{unknown[0]}'; choose from {', '.join(limits)}.")
    if flags.short:
        limits = dict.fromkeys(limits, SHORT_LIMIT)
    folder = ROOT / "runs" if flags.short else HERE
    out = (flags.out or folder / "results_accelerator.json").absolute()

    def stop(number: int, _: Any) -> None:
        raise KeyboardInterrupt(number)

    signal.signal(signal.SIGTERM, stop)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        good = run(chosen, limits, flags.short, out)
    except UserError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"--out={out} cannot be written: {reason(error)}.")
    except KeyboardInterrupt as stopped:
        print(f"\nstopped; what was measured is in {out}.", file=sys.stderr)
        sys.exit(128 + (stopped.args[0] if stopped.args else signal.SIGINT))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
