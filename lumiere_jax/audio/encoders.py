"""x → a, learned: windows of the waveform through 1-D convolutions (Vougioukas et al. 2018, 3.1.2).

A window of 0.16 s lies around the middle of its frame; what lies past the ends of the sound is
silence.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Bool, Float

from lumiere_jax.audio.features import frame_start
from lumiere_jax.layers import batch_norm, normal_init
from lumiere_jax.shapes import AnyArray, Chunk

WINDOW = 2560
# A first kernel of 5 ms every millisecond, whose steps the others halve five times.
KERNEL, STRIDE, PADDING = 80, 16, 32
CHANNELS = (16, 32, 64, 128, 256, 512)

Windows = Float[AnyArray, "batch samples"]
Seen = Bool[AnyArray, "batch"]


def window_start(t: int, fps: Fraction) -> int:
    """First sample of frame t's window, which may lie before the sound: its middle is the frame's,
    floor(rate · (t + ½) / fps), in integers."""
    return frame_start(2 * t + 1, 2 * fps) - WINDOW // 2


def stream_windows(
    chunks: Iterable[Chunk], fps: Fraction, frames: int, gain: float = 1.0
) -> Iterator[Float[np.ndarray, "2560"]]:
    """The windows of frames 0 to `frames` - 1 of sound in pieces of any length.

    Cutting it elsewhere changes nothing, and memory does not grow with its length.
    """
    chunks = iter(chunks)
    origin = min(window_start(0, fps), 0)
    held = np.zeros(-origin, np.float32)
    for t in range(frames):
        start = window_start(t, fps)
        stop = start + WINDOW - origin
        while len(held) < stop:
            piece = next(chunks, None)
            if piece is None:
                held = np.pad(held, (0, stop - len(held)))
            else:
                held = np.concatenate([held, np.asarray(piece, np.float32) * np.float32(gain)])
        yield held[start - origin : stop]
        held, origin = held[start - origin :], start


class WaveformEncoder(nn.Module):
    """Windows (b, 2560) in [-1, 1] to codes (b, code) in [-1, 1].

    Seven convolutions, the first 80/16, then 4/2, the last over the five steps that are left; in
    between BatchNorm, whose statistics are of the windows that are `seen`, and ReLU. Each is one
    matrix product over stacked steps: a stride divides its kernel, and no step is copied for it
    more than five times.
    """

    code: int = 256
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Windows, *, train: bool, seen: Seen | None = None
    ) -> Float[AnyArray, "batch code"]:
        x = x[..., None].astype(self.dtype)
        kernel, stride, padding = KERNEL, STRIDE, PADDING
        for i, channels in enumerate(CHANNELS):
            steps = _steps(jnp.pad(x, ((0, 0), (padding, padding), (0, 0))), kernel, stride)
            x = self._product(channels, i, use_bias=False)(steps)
            mask = None if seen is None else seen[:, None, None]
            x = nn.relu(batch_norm(x, train, name=f"conv{i}_norm", seen=mask))
            kernel, stride, padding = 4, 2, 1
        x = x.reshape(len(x), -1)
        a = self._product(self.code, len(CHANNELS))(x)
        return jnp.tanh(a.astype(jnp.float32))

    def _product(self, features: int, number: int, use_bias: bool = True) -> nn.Dense:
        return nn.Dense(
            features,
            use_bias=use_bias,
            dtype=self.dtype,
            kernel_init=normal_init,
            name=f"conv{number}",
        )


def _steps(x: jax.Array, kernel: int, stride: int) -> jax.Array:
    """(b, n, c) to (b, steps, kernel c), the samples that each step of a convolution sees."""
    b, n, c = x.shape
    blocks = x.reshape(b, n // stride, stride * c)
    count, steps = kernel // stride, n // stride - kernel // stride + 1
    return jnp.concatenate([blocks[:, i : i + steps] for i in range(count)], axis=-1)
