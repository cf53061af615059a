"""The same case in PyTorch, as fast as PyTorch does it: channels_last, fused Adam (RMSprop has no
fused form), autocast, BatchNorm folded where it is used, G forwarded once, no gradients where none
are wanted; on a GPU TensorFloat-32, as in JAX, and cuDNN's search for the fastest algorithms.

  python benchmarks/twin.py CASE eager|compiled
  python benchmarks/twin.py CASES eager|compiled FOLDER
  python benchmarks/twin.py many eager|compiled

With FOLDER it compares itself with what ours.py wrote there and prints each case's largest
deviation. `many` are asked for on standard input (see rounds.py).
"""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import systems
import torch
from cases import PARTS, Case, small
from rounds import Built, serve, serve_many
from torch import nn
from torch_side import DEVICE, Twin

from lumiere_jax.runtime.memory_allocation import keep_freed_memory


def twin_of(case: Case, compiled: bool) -> Twin:
    """A case's networks on the device."""
    return Twin(case, compiled, systems.module_of(case.name, "twin").networks(case))


def build(twin: Twin) -> Callable[[int], None]:
    kind = twin.case.kind
    step = getattr(systems.module_of(twin.case.name, "twin"), kind)(twin)
    in_use = kind in ("forward", "streaming")
    inference = torch.inference_mode if in_use else contextlib.nullcontext
    autocast = twin.autocast if in_use else contextlib.nullcontext

    def run(steps: int) -> None:
        with inference(), autocast():
            for _ in range(steps):
                step()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return run


def built(case: Case, compiled: bool) -> Built:
    """A case, with the seconds that its first step takes where it is compiled, and on a GPU the
    bytes that it takes."""
    memory = torch.cuda.memory_allocated if DEVICE == "cuda" else lambda: 0
    before = memory()
    run = build(twin_of(case, compiled))
    began = time.perf_counter()
    run(1)
    facts: dict[str, Any] = {"platform": "gpu" if DEVICE == "cuda" else "cpu"}
    if compiled:
        facts["compile_s"] = time.perf_counter() - began
    run(1)
    own = memory() - before

    def peak() -> float | None:
        if DEVICE != "cuda":
            return None
        others = memory() - own
        torch.cuda.reset_peak_memory_stats()
        run(1)
        return torch.cuda.max_memory_allocated() - others

    return Built(run, PARTS.get(case.kind, 1), facts, peak)


def deviation(case: Case, compiled: bool, path: Path) -> float:
    """The largest relative one between what a step gives here and what it gave in JAX."""
    case = small(case)
    with np.load(path) as file:
        known = dict(file)
    side, twin = systems.module_of(case.name, "twin"), twin_of(case, compiled)
    for name, net in twin.nets.items():
        own = {k.removeprefix(f"{name}/"): x for k, x in known.items() if k.startswith(f"{name}/")}
        _load(net, own, side.torch_arrays)
    if case.kind == "train":
        found = side.train(twin)()
    else:
        with torch.inference_mode(), twin.autocast():
            make = side.streaming if case.kind == "streaming" else side.forward
            found = {"output": make(twin)()}
    wanted = {k.removeprefix("expected/"): x for k, x in known.items() if k.startswith("expected")}
    if alone := found.keys() ^ wanted.keys():
        raise RuntimeError(
            f"{case.name} {case.kind}: one side alone has {', '.join(sorted(alone))}"
        )
    for name, count in twin.counts.items() if case.dtype == "bfloat16" else ():
        flips = abs(found.pop(name).item() - wanted[name])
        assert round(flips * count) <= 1, flips
    every = [_relative(x.detach().float().cpu().numpy(), wanted[k]) for k, x in found.items()]
    return float(np.max(every))  # Python's own may lose a NaN


def _relative(found: np.ndarray, wanted: np.ndarray) -> float:
    wanted = wanted.astype(np.float32)
    return float(np.sqrt(np.mean((found - wanted) ** 2) / np.mean(wanted**2)))


def _load(net: nn.Module, arrays: dict[str, np.ndarray], torch_arrays: Callable[..., Any]) -> None:
    """Gives a network variables of ours, by their path."""
    arrays = {re.sub("^(params|batch_stats)/", "", path): x for path, x in arrays.items()}
    found = torch_arrays(net, arrays)
    wanted = {k for k, x in net.state_dict().items() if x.ndim}
    assert found.keys() >= wanted, wanted - found.keys()
    net.load_state_dict({k: torch.from_numpy(found[k]) for k in wanted}, strict=False)


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(len(os.sched_getaffinity(0)))  # as many as XLA takes
    if DEVICE == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    compiled = sys.argv[2] == "compiled"
    if sys.argv[1] == "many":
        serve_many(lambda values: built(Case(**values), compiled), forget=torch.cuda.empty_cache)
    elif sys.argv[3:]:
        for number, values in enumerate(json.loads(sys.argv[1])):
            print(deviation(Case(**values), compiled, Path(sys.argv[3]) / f"{number}.npz"))
    else:
        case = Case(**json.loads(sys.argv[1]))
        serve(build(twin_of(case, compiled)), PARTS.get(case.kind, 1))
