"""What XLA's choices change in LumièreNet's steps; a part of accelerator.py, asked for by name.

Each is a process with flags of its own, in which three steps are compiled anew and timed. Users get
none of them yet: one that pays belongs to what `commands/cli.py` sets, and not in here.
"""

import argparse
import contextlib

from beside import full, rows, short
from rounds import say
from sides import Side

_BUFFERS = "--xla_gpu_enable_command_buffer="
GPU = {
    "command buffers also of loops": f"{_BUFFERS}+WHILE,+CONDITIONAL",
    "no command buffers": _BUFFERS,
    "no autotuning": "--xla_gpu_autotune_level=0",
    "channels last in all convolutions": "--xla_gpu_force_conv_nhwc=true",
    "latency hiding": "--xla_gpu_enable_latency_hiding_scheduler=true",
    "no Triton for products": "--xla_gpu_enable_triton_gemm=false",
}
STEPS = [("seqpix2pix", "forward"), ("seqpix2pix", "train"), ("blstm", "train")]
CPU = {"compiled quickly": "--xla_backend_optimization_level=0"}


def measure(name: str, flags: str, small: bool) -> str | None:
    """Rows of the steps that tell the most, compiled with these flags; the platform."""
    cases, _ = short() if small else full()
    cases = [next(c for c in cases if (c.name, c.kind) == wanted) for wanted in STEPS]
    # A program that was compiled with other flags would be taken for this one's.
    environment = {"XLA_FLAGS": flags, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    platform = None
    with contextlib.closing(Side("ours.py", "many", **environment)) as side:
        for row in rows(cases, {"ours": side}, 1 if small else 3):
            say(choice=name, flags=flags, **row)
            platform = row["platform"]
    return platform


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="in small")
    small = parser.parse_args().short
    platform = measure("as it is", "", small)
    for choice in (CPU if platform == "cpu" else GPU).items():
        measure(*choice, small)
