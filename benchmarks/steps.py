"""What training steps of LumièreNet cost at several sizes: seconds and peak memory.

  python benchmarks/steps.py [SIZE ...]

Each size runs in a process of its own, on the preset `small`, with random pictures.
"""

import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEPS = 5


def measure(size: int) -> None:
    """Prints a line of a table for each stage that has pictures."""
    sys.path.insert(0, str(ROOT))
    import jax
    import numpy as np
    from ours import step_seconds

    from configs.lumierenet import small
    from lumiere_jax.systems.lumierenet.system import stages

    config = small()
    every = stages(config, size)
    vae = jax.jit(every["vae"].init)(jax.random.key(0)).networks["vae"].inference_variables
    random = np.random.default_rng(0)
    for name in ("vae", "seqpix2pix"):
        stage = every[name]
        lead = (stage.batch, 3) if name == "seqpix2pix" else (stage.batch,)
        pictures = random.integers(0, 256, (*lead, size, size, 3)).astype(np.uint8)
        keypoints = random.random((*lead, 137, 3), np.float32)
        batch = {"figure": pictures, "figures": pictures, "frames": pictures}
        batch["keypoints"] = keypoints
        example = step_seconds(stage, {"vgg": {}, "vae": vae}, batch, STEPS) / stage.batch
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"| {size} px | {name} | {example:.2f} s | {peak:.1f} GiB |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
    else:
        print(
            "| size | stage | a figure or triplet | peak memory so far |\n|---|---|---|---|",
            flush=True,
        )
        for size in sys.argv[1:] or ["128", "256", "512"]:
            subprocess.run([sys.executable, __file__, "--one", size], check=True)
