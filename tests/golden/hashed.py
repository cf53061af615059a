"""Numbers that both sides make for themselves: a hash of a name and an index, no library's noise.

54 million parameters are too many to store, and random generators differ between libraries and
versions. NumPy's integers do not.
"""

import functools
import math
import zlib

import numpy as np


def integers(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """uint32, one for each index in C order, by MurmurHash3's last steps."""
    x = np.arange(math.prod(shape), dtype=np.uint32)
    x *= np.uint32(0x9E3779B1)
    x += np.uint32(zlib.crc32(name.encode()))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x *= np.uint32(factor)
    x ^= x >> np.uint32(16)
    return x.reshape(shape)


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 in [-1, 1), exact."""
    return (integers(name, shape) >> np.uint32(8)).astype(np.float32) * np.float32(2**-23) - 1


def picture(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """uint8."""
    return (integers(name, shape) >> np.uint32(24)).astype(np.uint8)


def sound() -> np.ndarray:
    """float32 at 16 kHz: two seconds of noise that swells and fades, half a second of silence."""
    swell = 1 - np.abs(np.linspace(-1, 1, 32_000, dtype=np.float32))
    return np.append(uniform("sound", (32_000,)) * swell, np.zeros(8000, np.float32))


@functools.lru_cache(maxsize=64)
def parameter(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A parameter or running average in PyTorch's name and layout, of a size that keeps signals.

    Running variances go down to 0.02, where BatchNorm's ε shows; the mean of 1 / variance is 1. A
    transposed convolution's kernel is (in, out, 4, 4), and an output sees a quarter of its taps.
    """
    x = uniform(name, shape)
    layer, leaf = name.split(".")[-2:]
    if leaf == "running_var":
        return np.float32(0.02) + np.float32(5.6) * np.abs(x)
    if leaf == "running_mean" or "bias" in leaf:
        return x * np.float32(0.2)
    if len(shape) == 1:
        return 1 + x * np.float32(0.3)
    fan_in = shape[0] * 4 if layer.startswith("up") else math.prod(shape[1:])
    return x * np.float32(math.sqrt(6 / fan_in))


def places(x: np.ndarray, count: int = 256) -> np.ndarray:
    """What of an array is stored: entries spread over it, then its mean and deviation; float32."""
    flat = np.asarray(x, np.float64).reshape(-1)
    index = np.arange(min(count, flat.size)) * 2654435761 % flat.size
    return np.append(flat[index], [flat.mean(), flat.std()]).astype(np.float32)
