"""w → y: the pix2pix U-Net (Isola et al. 2017), used as G and, on two frames, as P."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from lumiere_jax.convolutions import Pictures
from lumiere_jax.layers import Conv4x4Down, Conv4x4Up, batch_norm
from lumiere_jax.shapes import AnyArray


def depth_of(size: int) -> int:
    """Returns how often a picture of `size` can be halved.

    Raises:
      ValueError: `size` is not a power of two from 32 to 1024.
    """
    if size not in (32, 64, 128, 256, 512, 1024):
        raise ValueError(f"size is {size}, but must be a power of two from 32 to 1024")
    return size.bit_length() - 1


class UNet(nn.Module):
    """U-Net on pictures in [-1, 1]: (b, size, size, any channels) to (b, size, size, out_channels).

    Down to one pixel and back up, with a skip connection at every size. With `train` it needs the
    key `dropout`. Without, it uses running averages and no dropout, so that a frame does not depend
    on its batch.
    """

    size: int
    width: int = 64
    out_channels: int = 3
    dropout: float = 0.5
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Pictures, *, train: bool) -> Pictures:
        depth = depth_of(self.size)
        widths = [self.width * min(2**i, 8) for i in range(depth)]
        skips = []
        for i, channels in enumerate(widths):
            x = nn.leaky_relu(x, 0.2) if i else x
            x = Conv4x4Down(channels, use_bias=False, dtype=self.dtype, name=f"down{i}")(x)
            if 0 < i < depth - 1:
                x = batch_norm(x, train, name=f"down{i}_norm")
            skips.append(x)

        x = skips.pop()
        for i, channels in enumerate(reversed(widths[:-1])):
            x = Conv4x4Up(channels, use_bias=False, dtype=self.dtype, name=f"up{i}")(nn.relu(x))
            x = batch_norm(x, train, name=f"up{i}_norm")
            if i < 3:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = jnp.concatenate([x, skips.pop()], axis=-1)
        x = Conv4x4Up(self.out_channels, dtype=self.dtype, name=f"up{depth - 1}")(nn.relu(x))
        return jnp.tanh(x.astype(jnp.float32))


def stack_frames(y: Float[AnyArray, "batch length rows cols c"]) -> Pictures:
    """Stacks P's input: (b, L, rows, cols, c) to (b, rows, cols, L c), oldest first."""
    b, length, rows, cols, c = y.shape
    return jnp.moveaxis(y, 1, 3).reshape(b, rows, cols, length * c)
