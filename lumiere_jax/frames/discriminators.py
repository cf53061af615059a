"""y → real or fake: discriminators of pictures and of sequences with their sound.

The DCGAN discriminator (Radford et al. 2016) is made deeper to fit the size. The sequence
discriminator reads frames and sound (Vougioukas et al. 2018, 3.2.2).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float, Int

from lumiere_jax.convolutions import Pictures
from lumiere_jax.layers import GRU, Conv4x4Down, batch_norm, normal_init
from lumiere_jax.shapes import AnyArray


class _Halving(nn.Module):
    """4x4 stride-2 convolutions down to four rows, then one over all pixels that are left.

    `size` is the number of rows, 64 or more and a power of two; cols are a multiple of size / 4.
    """

    size: int
    width: int = 64
    dtype: DTypeLike = jnp.float32

    def see(
        self, y: Pictures, features: int, name: str, train: bool, seen: jax.Array | None = None
    ) -> jax.Array:
        """Maps pictures to (b, features); to be called in a compact method.

        BatchNorm's statistics are those of pictures that are `seen`.
        """
        mask = None if seen is None else seen[:, None, None, None]
        for i in range(self.size.bit_length() - 3):
            channels = self.width * min(2**i, 8)
            y = Conv4x4Down(channels, use_bias=i == 0, dtype=self.dtype, name=f"down{i}")(y)
            y = batch_norm(y, train, name=f"down{i}_norm", seen=mask) if i else y
            y = nn.leaky_relu(y, 0.2)
        y = y.astype(jnp.float32)
        return nn.DenseGeneral(features, axis=(-3, -2, -1), kernel_init=normal_init, name=name)(y)


class DCGANDiscriminator(_Halving):
    """Discriminator of pictures (b, size, cols, c) in [-1, 1]; gives one logit each.

    A conditional discriminator is the same network on the condition (a figure, a still) and the
    frame, concatenated.
    """

    @nn.compact
    def __call__(self, y: Pictures, *, train: bool) -> Float[AnyArray, " batch"]:
        return self.see(y, 1, "logit", train)[:, 0]


class SequenceDiscriminator(_Halving):
    """Discriminator of frames (b, time, size, cols, 3) in [-1, 1] with codes of their sound.

    Two layers of GRU read each frame's code (b, time, `code`) beside its sound's. Two dense layers
    read their state after the last frame of a sequence, by `lengths`, and give one logit.
    """

    code: int = 256
    cells: int = 256

    @nn.compact
    def __call__(
        self,
        y: Float[AnyArray, "batch time _rows _cols 3"],
        a: Float[AnyArray, "batch time _"],
        lengths: Int[AnyArray, " batch"],
        *,
        train: bool,
    ) -> Float[AnyArray, " batch"]:
        b, time = y.shape[:2]
        seen = seen_frames(lengths, time).reshape(-1)
        codes = self.see(y.reshape(b * time, *y.shape[2:]), self.code, "code", train, seen)
        joined = jnp.concatenate([codes.reshape(b, time, -1), a], axis=-1)
        states, _ = GRU(self.cells, 2, dtype=self.dtype, name="gru")(joined)
        x = states[jnp.arange(b), lengths - 1]
        x = nn.leaky_relu(nn.Dense(128, kernel_init=normal_init, name="dense")(x), 0.2)
        return nn.Dense(1, kernel_init=normal_init, name="logit")(x)[:, 0]


def seen_frames(lengths: Int[AnyArray, " batch"], time: int) -> Bool[AnyArray, "batch time"]:
    """Which frames of sequences that are filled up to `time` are theirs."""
    return jnp.arange(time)[None] < lengths[:, None]
