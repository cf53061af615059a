"""y → real or fake: the DCGAN discriminator (Radford et al. 2016), made deeper to fit the size."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from lumiere_jax.convolutions import Pictures
from lumiere_jax.layers import Conv4x4Down, batch_norm, normal_init
from lumiere_jax.shapes import AnyArray


class DCGANDiscriminator(nn.Module):
    """Pictures (b, size, size, c) in [-1, 1] to one logit each.

    4x4 stride-2 convolutions down to 4x4 pixels, then one that sees all of them. A conditional
    discriminator is the same net on the figure and the frame, concatenated.
    """

    size: int
    width: int = 64
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, y: Pictures, *, train: bool) -> Float[AnyArray, "batch"]:
        for i in range(self.size.bit_length() - 3):
            channels = self.width * min(2**i, 8)
            y = Conv4x4Down(channels, use_bias=i == 0, dtype=self.dtype, name=f"down{i}")(y)
            y = batch_norm(y, train, name=f"down{i}_norm") if i else y
            y = nn.leaky_relu(y, 0.2)
        y = y.astype(jnp.float32)
        logit = nn.DenseGeneral(1, axis=(-3, -2, -1), kernel_init=normal_init, name="logit")(y)
        return logit[:, 0]
