"""Layers that all picture networks share.

Pictures are (batch, rows, cols, channels); parameters are float32.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Bool, Float

from lumiere_jax.convolutions import Pictures, conv3x3, conv4x4_down, conv4x4_up, upsample_conv3x3
from lumiere_jax.shapes import AnyArray

normal_init = nn.initializers.normal(0.02)


def unfused(x: jax.Array) -> jax.Array:
    """Returns `x`; on a CPU, keeps XLA from fusing it with the product before it.

    XLA's CPU compiler makes one fusion of 3x3 convolutions, biases, ReLUs and pools in a chain
    without gradients. That fusion is half as slow again as its parts.
    """
    bits = jnp.finfo(x.dtype)
    rounded = lambda x: lax.reduce_precision(x, bits.nexp, bits.nmant)  # noqa: E731
    return lax.platform_dependent(x, cpu=rounded, default=lambda x: x)


@jax.custom_vjp
def max_pool(x: Pictures) -> Pictures:
    """Takes the maximum of each 2x2 block; the gradient goes to the first that attains it."""
    b, rows, cols, c = x.shape
    return jnp.max(x.reshape(b, rows // 2, 2, cols // 2, 2, c), axis=(2, 4))


def _max_pool_forward(x):
    y = max_pool(x)
    return y, (x, y)


def _max_pool_backward(residuals, dy):
    x, y = residuals
    b, h, w, c = y.shape
    blocks = x.reshape(b, h, 2, w, 2, c)
    taken, parts = jnp.zeros(y.shape, bool), []
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        first = (blocks[:, :, i, :, j] == y) & ~taken
        parts.append(jnp.where(first, dy, jnp.zeros_like(dy)))
        taken |= first
    dx = jnp.stack([jnp.stack(parts[:2], 3), jnp.stack(parts[2:], 3)], 2)
    return (dx.reshape(x.shape),)


max_pool.defvjp(_max_pool_forward, _max_pool_backward)


class _Convolution(nn.Module):
    """A convolution with an optional bias; the kernel is float32, the product runs in `dtype`."""

    features: int
    use_bias: bool = True
    dtype: DTypeLike = jnp.float32
    kernel_init: Callable = normal_init

    def convolve(self, function: Callable, x: jax.Array, kernel_shape: tuple) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, kernel_shape)
        y = function(x.astype(self.dtype), kernel)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            y += bias.astype(y.dtype).reshape(1, 1, 1, -1)
        return y


class Conv4x4Down(_Convolution):
    """Halves rows and cols: torch's Conv2d(k=4, s=2, p=1). Kernel (4, 4, in, out)."""

    @nn.compact
    def __call__(self, x: Pictures) -> Pictures:
        return self.convolve(conv4x4_down, x, (4, 4, x.shape[-1], self.features))


class Conv4x4Up(_Convolution):
    """Doubles rows and cols: torch's ConvTranspose2d(k=4, s=2, p=1). Kernel (4, 4, out, in)."""

    @nn.compact
    def __call__(self, x: Pictures) -> Pictures:
        return self.convolve(conv4x4_up, x, (4, 4, self.features, x.shape[-1]))


class Conv3x3(_Convolution):
    """Keeps rows and cols. Kernel (3, 3, in, out)."""

    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Pictures) -> Pictures:
        return self.convolve(conv3x3, x, (3, 3, x.shape[-1], self.features))


class UpsampleConv3x3(_Convolution):
    """Nearest x2 followed by a 3x3 convolution. Kernel (3, 3, in, out)."""

    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Pictures) -> Pictures:
        return self.convolve(upsample_conv3x3, x, (3, 3, x.shape[-1], self.features))


def _around_one(key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
    return 1 + normal_init(key, shape, dtype)


def batch_norm(
    x: Float[AnyArray, "batch *positions channels"],
    train: bool,
    name: str,
    seen: Bool[AnyArray, " batch *_"] | None = None,
) -> Float[AnyArray, "batch *positions channels"]:
    """Applies BatchNorm with pix2pix's initial scale, N(1, 0.02).

    Call it in a module's compact method. Statistics are float32 whatever the dtype of `x`.

    Args:
      x: Inputs.
      train: Whether to use the batch's statistics instead of running averages.
      name: Name of the module.
      seen: Mask that broadcasts to `x`: where it is False, `x` does not enter the statistics.
    """
    norm = nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        scale_init=_around_one,
        name=name,
    )
    return norm(x.astype(jnp.float32), mask=seen).astype(x.dtype)


class GRU(nn.Module):
    """Layers of gated recurrent units (Cho et al. 2014).

    Maps (b, time, features) to (b, time, cells) and the state (layers, b, cells) after the last
    step. `state` is the one before the first step; None means zeros.
    """

    cells: int
    layers: int = 1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[AnyArray, "b time _"], state: Float[AnyArray, "layers b cells"] | None = None
    ) -> tuple[Float[AnyArray, "b time cells"], Float[AnyArray, "layers b cells"]]:
        if state is None:
            state = jnp.zeros((self.layers, len(x), self.cells))
        last = []
        for i in range(self.layers):
            cell = nn.GRUCell(self.cells, dtype=self.dtype, name=f"layer{i}")
            end, x = nn.RNN(cell)(x, initial_carry=state[i], return_carry=True)
            last.append(end)
        return x.astype(jnp.float32), jnp.stack(last).astype(jnp.float32)
