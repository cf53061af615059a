"""Whether steps, synthesis, features and metrics equal the CPU's; a part of accelerator.py.

All of the preset `tiny`, from the same numbers: in float32 on the CPU and, on the device, in
float32, in float32 whose products may be TensorFloat-32 (what JAX does on such GPUs unless told
otherwise) and in bfloat16. Where the device is a CPU, what it does in float32 is held against the
forms of convolutions that accelerators take.
"""

import argparse
import contextlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from fractions import Fraction
from typing import Any
from unittest import mock

import jax
import numpy as np
import systems
from cases import speech
from numerics import Computation, Numbers, random_keypoints, random_pictures
from rounds import say

from lumiere_jax.audio.frame_times import RATE
from lumiere_jax.audio.front_ends import log_mel, rows_of
from lumiere_jax.measures import frame_comparison

# Largest relative deviations (of root mean squares). TensorFloat-32 keeps 10 bits of a number and
# bfloat16 7. A step amplifies what is lost, networks as narrow as these the most: bfloat16 gave
# 0.12; and of small differences optimisers make large ones, so float32 alone has a second step.
TOLERANCES = {
    "step": {"float32": 1e-3, "tf32": 3e-2, "bfloat16": 0.2},
    "synthesis": {"float32": 1e-3, "tf32": 5e-3, "bfloat16": 2e-2},
    "features": {"float32": 1e-4, "tf32": 1e-4},
    "metrics": {"float32": 1e-4, "tf32": 1e-4},
}
SECOND = 2e-2
CPU = jax.devices("cpu")[0]
THREADS = 8

Key = tuple[str, str]
"""A kind of computation, as in `TOLERANCES`, and what it is of."""


def computations(short: bool) -> dict[Key, Computation]:
    """All that is compared, by kind and name."""
    found: dict[Key, Computation] = {}
    # The slowest to compile come first: steps, and the last system's.
    every = [*systems.modules("right").items()][::-1]
    for system, module in every:
        steps = module.steps(short).items()
        found |= {("step", f"{system} {name}"): compute for name, compute in steps}
    found |= {("synthesis", system): module.synthesis for system, module in every}
    found["features", "log-mel"] = rows_of_sound
    found["metrics", "of pictures"] = measures
    return found


def rows_of_sound(dtype: str) -> Numbers:
    sound = speech("second")[:RATE]
    return {"rows": rows_of(log_mel(Fraction(30)), [sound], 30)}


def measures(dtype: str) -> Numbers:
    a = random_pictures(4, 64, 64)
    return frame_comparison.judge(a, a[::-1] // 2, random_keypoints(4))


def deviation(found: Numbers, wanted: Numbers) -> float:
    """The largest of the numbers' relative deviations, of root mean squares."""
    if found.keys() != wanted.keys():
        raise RuntimeError(f"one side alone has {', '.join(sorted(found.keys() ^ wanted.keys()))}")
    pairs = [(x.astype(np.float64), wanted[k].astype(np.float64)) for k, x in found.items()]
    every = [np.sqrt(np.mean((a - b) ** 2) / max(np.mean(b**2), 1e-12)) for a, b in pairs]
    return float(np.max(every))  # Python's own may lose a NaN


def references(every: Mapping[Key, Computation]) -> dict[Key, Numbers | Exception]:
    """What the CPU computes in float32; where it is the device, in the forms of accelerators."""

    def reference(compute: Computation) -> Numbers | Exception:
        try:
            with jax.default_device(CPU), jax.default_matmul_precision("highest"):
                return compute("float32")
        except Exception as error:  # one that does not work leaves the others
            return error

    others = lambda *x, cpu=None, default: default(*x)  # noqa: E731
    alone = jax.devices()[0] == CPU
    with mock.patch("jax.lax.platform_dependent", others) if alone else contextlib.nullcontext():
        with ThreadPoolExecutor(THREADS) as pool:
            found = dict(zip(every, pool.map(reference, every.values()), strict=True))
    jax.clear_caches()
    return found


def compared(
    key: Key, precision: str, compute: Computation, wanted: Numbers | Exception
) -> dict[str, Any]:
    """How far the device is from the reference in one precision."""
    (kind, what), tolerance = key, TOLERANCES[key[0]][precision]
    row = {"kind": kind, "what": what, "precision": precision, "tolerance": tolerance}
    exact = "highest" if precision == "float32" else "default"
    dtype = "bfloat16" if precision == "bfloat16" else "float32"
    try:
        if isinstance(wanted, Exception):
            raise wanted
        with jax.default_device(jax.devices()[0]), jax.default_matmul_precision(exact):
            found = compute(dtype)
        row["deviation"] = deviation(_of("first", found), _of("first", wanted))
        right = row["deviation"] <= tolerance
        if precision == "float32" and (later := _of("second", found)):
            row["second_step"] = deviation(later, _of("second", wanted))
            right &= row["second_step"] <= SECOND
        return {**row, "right": bool(right)}
    except Exception as error:
        return {**row, "right": False, "error": f"{type(error).__name__}: {error}"[:300]}


def precisions(kind: str) -> list[str]:
    """Those that are compared; a CPU knows no TensorFloat-32, and is slow in bfloat16."""
    return ["float32"] if jax.devices()[0] == CPU else list(TOLERANCES[kind])


def _of(step: str, numbers: Numbers) -> Numbers:
    """Those of one of two steps; what is no step's counts as the first's."""
    second = {k: x for k, x in numbers.items() if k.startswith("second ")}
    return second if step == "second" else {k: numbers[k] for k in numbers if k not in second}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="without the paper's losses")
    every = computations(parser.parse_args().short)
    known = references(every)
    # float32 first: it tells the most.
    tasks = [(p, key) for p in TOLERANCES["step"] for key in every if p in precisions(key[0])]
    with ThreadPoolExecutor(THREADS) as pool:
        begun = [pool.submit(compared, key, p, every[key], known[key]) for p, key in tasks]
        for done in as_completed(begun):
            say(**done.result())
