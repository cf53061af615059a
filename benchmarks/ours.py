"""One case in JAX: the stages' own training step, or the networks as synthesis runs them.

  python benchmarks/ours.py CASE
  python benchmarks/ours.py CASES FOLDER
  python benchmarks/ours.py many

CASE is JSON, and CASES a list of them, of which FOLDER gets what the twin is compared with. `many`
are asked for on standard input (see rounds.py).
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import systems
from cases import PARTS, Case, arrays, small
from numerics import lively, lively_state
from rounds import Built, serve, serve_many
from traces import longest_operations

from lumiere_jax.runtime import inference_batches
from lumiere_jax.runtime.memory_allocation import keep_freed_memory
from lumiere_jax.training.device_mesh import compile_step, first_state, place, replicate, stage_mesh
from lumiere_jax.training.guard import SKIPPED
from lumiere_jax.training.stage import Batch, Stage, State

# What a step says of itself, and PyTorch's has no part in.
NO_MEASURES = {"learning_rate", SKIPPED}


def begin(stage: Stage, frozen: Any, batch: Batch) -> tuple[Any, State, Any, Batch]:
    """The jitted step of a stage, and its arguments as training places them.

    With a state from elsewhere the second step would be compiled anew.
    """
    mesh = stage_mesh(stage)
    state = first_state(stage, mesh, seed=0)
    return compile_step(stage, mesh), state, replicate(frozen, mesh), place(batch, mesh)


def step_seconds(stage: Stage, frozen: Any, batch: Batch, steps: int = 3) -> float:
    """The median of some steps, after the one that is compiled."""
    step, state, frozen, batch = begin(stage, frozen, batch)
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        state, metrics = step(state, frozen, batch)
        jax.block_until_ready((state, metrics))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def training(case: Case) -> tuple[Any, State, Any, Batch]:
    """The jitted step of a case's stage, and its arguments."""
    stage, frozen = systems.module_of(case.name, "ours").stage_of(case)
    return begin(stage, frozen, arrays(case))


def forward_of(case: Case) -> tuple[Callable[[Any, Any], Any], Any, np.ndarray]:
    """What a case has in use, its variables by stage and network, and its input."""
    return systems.module_of(case.name, "ours").forward_of(case)


def train(case: Case) -> Callable[[int], None]:
    step, state, *rest = training(case)
    return repeated(step, rest, state)


def forward(case: Case) -> Callable[[int], None]:
    function, *rest = forward_of(case)
    return repeated(function, rest)


def stream(case: Case) -> Callable[[int], None]:
    """Frames one after the other, as they would be made live."""
    inference_batches.AHEAD = 0  # a frame is there before the next window comes
    return forward(case)


def synthesise(case: Case) -> Callable[[int], None]:
    """What infer.py does, with networks that nobody has trained."""
    return systems.module_of(case.name, "ours").synthesise(case)


def repeated(function: Callable, rest: Sequence[Any], state: Any = None) -> Callable[[int], None]:
    """What takes steps of a function of `rest`, and of a state that it gives anew where there is
    one, and returns when they are done."""

    def run(steps: int) -> None:
        nonlocal state
        made: Any = None
        for _ in range(steps):
            if state is None:
                made = function(*rest)
            else:
                state, made = function(state, *rest)
        jax.block_until_ready((state, made))

    return run


def built(case: Case) -> Built:
    """A case compiled ahead of time: the seconds that took, the bytes that it needs, and the
    operations of a step as a GPU would be given it, in 1e9."""
    platform = {"platform": jax.default_backend()}
    if case.kind == "streaming":
        run = stream(case)
        began = time.perf_counter()
        run(1)
        return Built(run, PARTS[case.kind], {**platform, "compile_s": time.perf_counter() - began})
    state: Any = None
    if case.kind == "train":
        function, state, *rest = training(case)
    else:
        function, *rest = forward_of(case)
        rest = jax.device_put(rest)
    given = rest if state is None else (state, *rest)
    traced = function.trace(*given)
    began = time.perf_counter()
    compiled = traced.lower().compile()
    seconds = time.perf_counter() - began
    run = repeated(compiled, rest, state)
    run(1)
    needs = compiled.memory_analysis()
    parts = needs.argument_size_in_bytes, needs.temp_size_in_bytes, needs.output_size_in_bytes
    bytes_needed = sum(parts) - needs.alias_size_in_bytes
    gflop = traced.lower(lowering_platforms=("cuda",)).cost_analysis()["flops"] / 1e9
    facts = {**platform, "compile_s": seconds, "gflop": gflop}
    return Built(run, 1, facts, lambda: bytes_needed)


def write_expected(case: Case, path: Path) -> None:
    """Variables, and what a step makes of them: losses and the norms of gradients, or outputs."""
    case = small(case)
    if case.kind == "train":
        step, state, frozen, batch = training(case)
        state = lively_state(state)
        networks = {name: n.variables for name, n in state.networks.items()}
        flat = _flat(networks | frozen)  # before the step takes their memory
        state, metrics = step(state, frozen, batch)
        if metrics[SKIPPED]:
            raise RuntimeError(f"{case}: the step is not finite")
        expected = {f"expected/{k}": v for k, v in metrics.items() if k not in NO_MEASURES}
    else:
        function, variables, x = forward_of(case)
        variables = lively(variables)
        flat = _flat({name: v for own in variables.values() for name, v in own.items()})
        expected = {"expected/output": function(variables, x)}
    np.savez(path, **flat, **{k: np.asarray(v) for k, v in expected.items()})


def _flat(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree.leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.array(x) for path, x in leaves
    }


if __name__ == "__main__":
    keep_freed_memory()
    if sys.argv[1:] == ["many"]:
        serve_many(lambda values: built(Case(**values)), together=8, trace=longest_operations)
    elif sys.argv[2:]:
        for number, values in enumerate(json.loads(sys.argv[1])):
            write_expected(Case(**values), Path(sys.argv[2]) / f"{number}.npz")
    else:
        case = Case(**json.loads(sys.argv[1]))
        make = {"train": train, "forward": forward, "synthesis": synthesise, "streaming": stream}
        serve(make[case.kind](case), PARTS.get(case.kind, 1))
