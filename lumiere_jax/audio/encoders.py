"""x → a, learned: windows of the waveform through 1-D convolutions (Vougioukas et al. 2018, 3.1.2).

A window of 0.16 s lies around the middle of its frame; what lies past the ends of the sound is
silence.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float

from lumiere_jax.layers import batch_norm, normal_init
from lumiere_jax.shapes import AnyArray

WINDOW = 2560
# A first kernel of 5 ms every millisecond, whose steps the others halve five times.
KERNEL, STRIDE, PADDING = 80, 16, 32
CHANNELS = (16, 32, 64, 128, 256, 512)

Windows = Float[AnyArray, "batch samples"]
Seen = Bool[AnyArray, " batch"]


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
