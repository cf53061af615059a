"""What the device can do at most: matrix products and copies; a part of accelerator.py."""

import argparse
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rounds import say

# What XLA may do with float32 operands.
PRECISIONS = {"bfloat16": "default", "tf32": "default", "float32": "highest"}
ROUNDS, ROUND_SECONDS = 5, 0.2


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """The median time of a call, of rounds in which the device always has work."""

    def run(calls: int) -> float:
        began = time.perf_counter()
        for _ in range(calls):
            made = function(*arguments)
        jax.block_until_ready(made)
        return (time.perf_counter() - began) / calls

    run(1)
    calls = max(1, round(ROUND_SECONDS / run(1)))
    return statistics.median(run(calls) for _ in range(ROUNDS))


def matrices(size: int) -> None:
    """TFLOP/s of a square product, of random numbers: zeros would take less power."""
    for name, precision in PRECISIONS.items():
        dtype = "bfloat16" if name == "bfloat16" else "float32"
        x = jax.random.normal(jax.random.key(0), (size, size), dtype)
        product = jax.jit(functools.partial(jnp.matmul, precision=precision))
        say(rate=name, size=size, tflops=2 * size**3 / seconds(product, x, x) / 1e12)


def copies(megabytes: int) -> None:
    """GB/s: read and written on the device, and to it and from it."""
    x = jnp.ones((megabytes, 2**18), jnp.float32)
    negative = jax.jit(jnp.negative)
    say(rate="copy", megabytes=megabytes, gb_s=2 * x.nbytes / seconds(negative, x) / 1e9)
    host = np.ones((megabytes // 8, 2**18), np.float32)
    say(rate="to device", gb_s=host.nbytes / seconds(jax.device_put, host) / 1e9)
    # A new array each time: what has been fetched once stays with its array.
    one = negative(jnp.asarray(host))
    fetch = lambda: np.asarray(one + 0)  # noqa: E731
    say(rate="from device", gb_s=host.nbytes / seconds(fetch) / 1e9)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    matrices(1024 if short else 8192)
    copies(64 if short else 2048)
