"""How long train.py takes to LumièreNet's first step: with nothing compiled yet, and again.

  python benchmarks/start.py [SIZE]

Seconds from the start of Python to the end of the first step of SeqPix2Pix with the paper's config
on a drawn dataset, without TensorFlow's import, whose own seconds stand beside them.
"""

import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lumiere_jax.runtime.compiled_programs import FOLDER, keep_compiled  # noqa: E402


def first_step(data: Path, folder: Path) -> dict[str, float]:
    """Seconds to the first step, and of TensorFlow's import in them."""
    environment = {**os.environ, "LUMIERE_JAX_CACHE": str(folder / "cache")}
    environment.pop(FOLDER, None)
    with tempfile.TemporaryDirectory(dir=folder) as workdir:
        began = time.perf_counter()
        found = subprocess.run(
            [sys.executable, __file__, "--one", data, workdir],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - began
    imported = json.loads(found.stdout.splitlines()[-1])
    return {"first_step": seconds - imported, "tensorflow": imported}


def _train(data: str, workdir: str) -> None:
    """train.py until its first step's losses are there."""
    keep_compiled()
    import no_torch  # noqa: F401

    from lumiere_jax.training.guard import Watch

    began = time.perf_counter()
    import tensorflow  # noqa: F401

    imported, look = time.perf_counter() - began, Watch.look

    def end(*arguments):
        look(*arguments)
        print(json.dumps(imported), flush=True)
        os._exit(0)

    Watch.look = end
    sys.argv = [
        "train.py",
        "--config=configs/lumierenet.py:paper",
        "--config.vgg=random",
        "--config.seqpix2pix.batch=1",
        "--stage=seqpix2pix",
        f"--data={data}",
        f"--workdir={workdir}",
    ]
    runpy.run_path("train.py", run_name="__main__")


def main() -> None:
    from input import draw_dataset

    size = int(sys.argv[1]) if sys.argv[1:] else 256
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_dataset(folder / "data", size)
        for start in ("first", "second"):
            found = first_step(folder / "data", folder)
            print(
                f"{start} start, {size} px: {found['first_step']:.1f} s to the first step, and "
                f"{found['tensorflow']:.1f} s for TensorFlow's import",
                flush=True,
            )


if __name__ == "__main__":
    _train(*sys.argv[2:]) if sys.argv[1:2] == ["--one"] else main()
