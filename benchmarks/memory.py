"""Peak memory of LumièreNet's training steps, and of its narrations of growing length.

  python benchmarks/memory.py [--size=256] [MINUTES ...]

Each measurement is a process of its own, two at a time; a step's is of the paper's config, batch 1,
and what XLA says that its program needs stands beside it. Narrations are spoken by the preset
`tiny`.
"""

import argparse
import json
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from cases import Case

from lumiere_jax.runtime.memory_allocation import keep_freed_memory

STAGES = ("vae", "blstm", "seqpix2pix")


def step(name: str, side: int) -> dict[str, float]:
    """GiB: resident at most, and the compiled step's arguments and temporaries."""
    import jax
    from ours import training

    size, batch = (0, 128) if name == "blstm" else (side, 1)
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
    from systems.lumierenet.ours import synthesise

    case = Case(
        name="synthesis", kind="synthesis", dtype="float32", size=64, batch=8, width=4, cells=8
    )
    synthesise(case, minutes * 60)(1)
    return {"peak": _peak()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _alone(what: str, size: int) -> dict[str, float]:
    command = [sys.executable, __file__, f"--one={what}", f"--size={size}"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", type=int, default=256, help="of the steps' pictures")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # what a process measures
    parser.add_argument("minutes", nargs="*", default=["1", "10", "60"])
    given = parser.parse_args()
    if given.one:
        keep_freed_memory()
        one = step(given.one, given.size) if given.one in STAGES else speech(float(given.one))
        return print(json.dumps(one))
    alone = lambda what: _alone(what, given.size)  # noqa: E731
    print("| | peak | arguments | temporaries |\n|---|---|---|---|")
    with ThreadPoolExecutor(2) as pool:  # no process has the other's memory, and none is timed
        steps, speeches = pool.map(alone, STAGES), pool.map(alone, given.minutes)
        for name, found in zip(STAGES, steps, strict=True):
            cells = " | ".join(f"{x:.2f} GiB" for x in found.values())
            print(f"| a step of {name} | {cells} |", flush=True)
        for minutes, found in zip(given.minutes, speeches, strict=True):
            print(f"| {minutes} min of speech | {found['peak']:.2f} GiB | | |", flush=True)


if __name__ == "__main__":
    main()
