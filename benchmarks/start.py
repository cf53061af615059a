"""How long a training takes to its first step: with nothing compiled yet, and the second time.

  python benchmarks/start.py [SIZE]

Seconds from the start of Python to the end of the first step of SeqPix2Pix with the paper's config,
without TensorFlow's import.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from cases import Case


def first_step(case: Case, cache: str) -> float:
    command = [sys.executable, Path(__file__).with_name("ours.py"), json.dumps(asdict(case))]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}
    began = time.perf_counter()
    # Its input ends at once, so it ends when it is warm.
    found = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    )
    return time.perf_counter() - began - json.loads(found.stdout)["warm_s"]


if __name__ == "__main__":
    size = int(sys.argv[1]) if sys.argv[1:] else 256
    case = Case(name="seqpix2pix", kind="train", dtype="float32", size=size, batch=1)
    with tempfile.TemporaryDirectory() as cache:
        for start in ("first", "second"):
            print(f"{start} start, {size} px: {first_step(case, cache):.1f} s to the first step")
