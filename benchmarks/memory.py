"""Peak memory of each stage's training step, and of narrations of growing length.

  python benchmarks/memory.py [MINUTES ...]

Each measurement is a process of its own; a step's is of the paper's config at 256 px, batch 1, and
what XLA says that its program needs stands beside it. Narrations are spoken by the preset `tiny`.
"""

import json
import resource
import subprocess
import sys

from cases import Case

from lumiere_jax.workflows.allocation import keep_freed_memory

STAGES = ("vae", "blstm", "seqpix2pix")


def step(name: str) -> dict[str, float]:
    """GiB: resident at most, and the compiled step's arguments and temporaries."""
    import jax
    from ours import training

    size, batch = (0, 128) if name == "blstm" else (256, 1)
    case = Case(name=name, kind="train", dtype="float32", size=size, batch=batch)
    step, *arguments = training(case)
    compiled = step.lower(*arguments).compile()
    needs = compiled.memory_analysis()
    state, *rest = arguments
    del arguments  # the step takes the state's memory for the next one
    for _ in range(2):
        state, metrics = compiled(state, *rest)
    jax.block_until_ready((state, metrics))
    return {
        "peak": _peak(),
        "arguments": needs.argument_size_in_bytes / 2**30,
        "temporary": needs.temp_size_in_bytes / 2**30,
    }


def speech(minutes: float) -> dict[str, float]:
    """GiB resident at most while `minutes` are spoken."""
    from ours import synthesise

    case = Case(
        name="synthesis", kind="synthesis", dtype="float32", size=64, batch=8, width=4, cells=8
    )
    synthesise(case, minutes * 60)(1)
    return {"peak": _peak()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _alone(*arguments: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", *arguments]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        keep_freed_memory()
        what = sys.argv[2]
        print(json.dumps(step(what) if what in STAGES else speech(float(what))))
    else:
        print("| | peak | arguments | temporaries |\n|---|---|---|---|")
        for name in STAGES:
            found = [f"{x:.2f} GiB" for x in _alone(name).values()]
            print(f"| a step of {name} | {' | '.join(found)} |", flush=True)
        for minutes in sys.argv[1:] or ("1", "10", "60"):
            print(
                f"| {minutes} min of speech | {_alone(minutes)['peak']:.2f} GiB | | |", flush=True
            )
