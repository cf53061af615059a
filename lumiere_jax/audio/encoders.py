"""x → a, learned: windows of the waveform through 1-D convolutions (Vougioukas et al. 2018, 3.1.2).

A window covers 0.16 s around the middle of its frame. Past the ends of the sound there is silence.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float

from lumiere_jax.layers import batch_norm, normal_init
from lumiere_jax.shapes import AnyArray

WINDOW = 2560
# The first kernel covers 5 ms, every millisecond; the others halve its steps five times.
KERNEL, STRIDE, PADDING = 80, 16, 32
CHANNELS = (16, 32, 64, 128, 256, 512)

Windows = Float[AnyArray, "batch samples"]
Seen = Bool[AnyArray, " batch"]


class WaveformEncoder(nn.Module):
    """Encoder of windows (b, 2560) in [-1, 1] to codes (b, code) in [-1, 1].

    Seven convolutions: the first with kernel 80 and stride 16, five with 4 and 2, and the last over
    the five steps that are left. In between, BatchNorm and ReLU; statistics are those of windows
    that are `seen`. Each convolution is one matrix product over stacked steps: its stride divides
    its kernel, so no step is copied more than five times.
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
    """Stacks the samples of each convolution step: (b, n, c) to (b, steps, kernel c)."""
    b, n, c = x.shape
    blocks = x.reshape(b, n // stride, stride * c)
    count, steps = kernel // stride, n // stride - kernel // stride + 1
    return jnp.concatenate([blocks[:, i : i + steps] for i in range(count)], axis=-1)
