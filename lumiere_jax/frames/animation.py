"""Generator of frames from a still picture and latents, in halves (Vougioukas et al. 2018, 3.1).

Pictures are in [-1, 1], their rows and cols multiples of 32: 128 x 96 in the paper. A still is
encoded once; its skips add the same numbers to each of its frames in the decoder.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float

from lumiere_jax.convolutions import Pictures
from lumiere_jax.layers import Conv3x3, Conv4x4Down, Conv4x4Up, batch_norm, normal_init
from lumiere_jax.shapes import AnyArray

HALVINGS = 5

Skips = Sequence[Float[AnyArray, "batch _rows _cols _channels"]]
Latent = Float[AnyArray, "batch time latent"]
Frames = Float[AnyArray, "batch time rows cols 3"]
Seen = Bool[AnyArray, "batch time"]


def _widths(width: int) -> list[int]:
    return [width * 2**i for i in range(HALVINGS)]


def _conv3x3(channels: int, dtype: DTypeLike, name: str) -> Conv3x3:
    """Makes half of a decoder's convolution: over the features so far, or over a skip."""
    return Conv3x3(channels, use_bias=False, dtype=dtype, kernel_init=normal_init, name=name)


class IdentityEncoder(nn.Module):
    """Encoder of stills (b, rows, cols, 3) to z_id (b, code) in [-1, 1] and skips, coarsest first.

    Five 4x4 convolutions at stride 2, then one over all that is left. A skip is the still's half of
    a decoder's convolution, already applied. The finest features have no skip.
    """

    code: int = 50
    width: int = 64
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, still: Pictures, *, train: bool
    ) -> tuple[Float[AnyArray, "batch code"], Skips]:
        x, skips = still, []
        for i, channels in enumerate(_widths(self.width)):
            x = Conv4x4Down(channels, use_bias=False, dtype=self.dtype, name=f"down{i}")(x)
            x = nn.relu(batch_norm(x, train, name=f"down{i}_norm"))
            if i:
                skips.append(_conv3x3(channels, self.dtype, f"skip{i}")(x))
        z = nn.DenseGeneral(
            self.code, axis=(-3, -2, -1), use_bias=False, kernel_init=normal_init, name="code"
        )
        return jnp.tanh(z(x.astype(jnp.float32))), skips[::-1]


class FrameDecoder(nn.Module):
    """Decoder of latents (b, time, latent) and stills' skips to frames (b, time, rows, cols, 3).

    Goes from one pixel to rows / 32 x cols / 32, then doubles five times. Before each doubling but
    the last, a 3x3 convolution reads the features so far and the skip. BatchNorm's statistics are
    those of frames that are `seen`.
    """

    width: int = 64
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, latent: Latent, skips: Skips, *, train: bool, seen: Seen | None = None
    ) -> Frames:
        b, time = latent.shape[:2]
        mask = None if seen is None else seen.reshape(-1, 1, 1, 1)

        def norm(x: jax.Array, name: str) -> jax.Array:
            return nn.relu(batch_norm(x, train, name=f"{name}_norm", seen=mask))

        widths = _widths(self.width)[::-1]
        x = nn.Dense(
            skips[0][0].size,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=normal_init,
            name="start",
        )(latent.reshape(b * time, -1))
        x = norm(x.reshape(b * time, *skips[0].shape[1:]), "start")
        for i, (channels, skip) in enumerate(zip(widths, skips, strict=False)):
            conv = _conv3x3(channels, self.dtype, f"conv{i}")
            x = norm(_over_time(conv(x), skip, time), f"conv{i}")
            up = Conv4x4Up(channels // 2, use_bias=False, dtype=self.dtype, name=f"up{i}")
            x = norm(up(x), f"up{i}")
        y = Conv4x4Up(3, dtype=self.dtype, name=f"up{HALVINGS - 1}")(x)
        return jnp.tanh(y.astype(jnp.float32)).reshape(b, time, *y.shape[1:])


def _over_time(x: jax.Array, skip: jax.Array, time: int) -> jax.Array:
    """Adds a still's skip to each of its frames."""
    b = len(skip)
    return (x.reshape(b, time, *x.shape[1:]) + skip[:, None]).reshape(x.shape)
