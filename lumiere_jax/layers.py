"""The convolutions that every picture network here is made of, fast on every platform.

Pictures are (batch, rows, cols, channels). On a CPU XLA's own gradients of strided, transposed and
3x3 convolutions are several times slower than the products inside them, so here they are written
as matrix products over stacked windows; elsewhere the native convolutions run. Which one is
chosen when a computation is lowered, and the parameters are the same.

Parameters are float32. Products run in the dtype of `x` and accumulate in float32.
"""

from collections.abc import Callable, Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Float

from lumiere_jax.shapes import AnyArray

NHWC = ("NHWC", "HWIO", "NHWC")
Pictures = Float[AnyArray, "batch _rows _cols _channels"]
Kernel = Float[AnyArray, "_rows _cols _in _out"]
normal_init = nn.initializers.normal(0.02)


def _dot(a: jax.Array, b: jax.Array, axes: tuple[int, int]) -> jax.Array:
    """Matrix product over one axis of each; bf16 operands are slow without a float32 result."""
    dims = (((axes[0],), (axes[1],)), ((), ()))
    return lax.dot_general(a, b, dims, preferred_element_type=jnp.float32)


def _windows4(x: jax.Array) -> jax.Array:
    """The 4x4 windows at stride 2 of `x` padded by 1: (b, 2h, 2w, c) -> (b h w, 16 c).

    Two neighbouring columns are one row of 2c numbers, so eight slices make the sixteen taps.
    """
    b, rows, cols, c = x.shape
    h, w = rows // 2, cols // 2
    pairs = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(b, h + 1, 2, w + 1, 2 * c)
    taps = [pairs[:, u // 2 : u // 2 + h, u % 2, v : v + w] for u in range(4) for v in range(2)]
    return jnp.concatenate(taps, axis=-1).reshape(b * h * w, 16 * c)


def _overlap_add4(windows: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The transpose of `_windows4`: adds (b h w, 16 c) up into `shape` = (b, 2h, 2w, c)."""
    b, rows, cols, c = shape
    h, w = rows // 2, cols // 2
    taps = windows.reshape(b, h, w, 2, 2, 2, 2 * c)  # row shift, row parity, column shift
    pad = partial(jnp.pad, mode="constant")
    pairs = sum(
        pad(taps[:, :, :, i, :, j], ((0, 0), (i, 1 - i), (j, 1 - j), (0, 0), (0, 0)))
        for i in range(2)
        for j in range(2)
    )
    padded = jnp.moveaxis(pairs, 3, 2).reshape(b, rows + 2, cols + 2, c)
    return padded[:, 1:-1, 1:-1]


def _native_down(x: jax.Array, kernel: jax.Array) -> jax.Array:
    pads = ((1, 1), (1, 1))
    return lax.conv_general_dilated(x, kernel.astype(x.dtype), (2, 2), pads, dimension_numbers=NHWC)


def _native_up(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_transpose(
        x,
        kernel.astype(x.dtype),
        (2, 2),
        ((2, 2), (2, 2)),
        dimension_numbers=NHWC,
        transpose_kernel=True,
    )


def _native_3x3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(
        x, kernel.astype(x.dtype), (1, 1), "SAME", dimension_numbers=NHWC
    )


def _matrix(kernel: jax.Array, dtype: DTypeLike) -> jax.Array:
    return kernel.reshape(-1, kernel.shape[-1]).astype(dtype)


def _cpu_down(x: jax.Array, kernel: jax.Array) -> jax.Array:
    if _wide(x, kernel) and x.dtype == jnp.float32:
        return _native_down(x, kernel)  # forward, and in float32, XLA's own is the faster one
    b, rows, cols, _ = x.shape
    y = _dot(_windows4(x), _matrix(kernel, x.dtype), (1, 0))
    return y.reshape(b, rows // 2, cols // 2, -1).astype(x.dtype)


def _cpu_up(x: jax.Array, kernel: jax.Array) -> jax.Array:
    b, h, w, c = x.shape
    windows = _dot(x.reshape(-1, c), _matrix(kernel, x.dtype), (1, 1))
    return _overlap_add4(windows, (b, 2 * h, 2 * w, kernel.shape[2])).astype(x.dtype)


def _wide(x: jax.Array, kernel: jax.Array) -> bool:
    """Whether pictures outweigh the kernel, so that moving 16 windows of them costs the most."""
    pixels, (_, _, c, o) = x.size // (4 * x.shape[-1]), kernel.shape
    return pixels > 4 * o and o < 4 * c


def _cpu_down_grads(x, kernel, dy):
    if _wide(x, kernel):
        return _cpu_wide_down_grads(x, kernel, dy)
    dy = dy.reshape(-1, dy.shape[-1])
    dx = _overlap_add4(_dot(dy, _matrix(kernel, x.dtype), (1, 1)), x.shape)
    dkernel = _dot(_windows4(x), dy, (0, 0))
    return dx.astype(x.dtype), dkernel.reshape(kernel.shape).astype(kernel.dtype)


def _cpu_wide_down_grads(x, kernel, dy):
    """As a 2x2 convolution over space-to-depth: four shifts of dy serve both gradients."""
    (b, rows, cols, c), o = x.shape, dy.shape[-1]
    h, w = rows // 2 + 1, cols // 2 + 1
    pads = [((0, 0), (i, 1 - i), (j, 1 - j), (0, 0)) for i in range(2) for j in range(2)]
    shifts = jnp.concatenate([jnp.pad(dy, pad) for pad in pads], axis=-1).reshape(-1, 4 * o)

    taps = kernel.reshape(2, 2, 2, 2, c, o)  # row shift, row parity, column shift, column parity
    matrix = taps.transpose(1, 3, 4, 0, 2, 5).reshape(4 * c, 4 * o).astype(x.dtype)
    blocks = _dot(shifts, matrix, (1, 1)).reshape(b, h, w, 2, 2 * c)
    dx = jnp.swapaxes(blocks, 2, 3).reshape(b, 2 * h, 2 * w, c)[:, 1:-1, 1:-1]

    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(b, h, 2, w, 2 * c)
    blocks = jnp.swapaxes(padded, 2, 3).reshape(-1, 4 * c)
    dkernel = _dot(blocks, shifts, (0, 0)).reshape(2, 2, c, 2, 2, o).transpose(3, 0, 4, 1, 2, 5)
    return dx.astype(x.dtype), dkernel.reshape(kernel.shape).astype(kernel.dtype)


def _cpu_up_grads(x, kernel, dy):
    windows = _windows4(dy)
    dx = _dot(windows, _matrix(kernel, x.dtype), (1, 0))
    dkernel = _dot(windows, x.reshape(-1, x.shape[-1]), (0, 0))
    return (
        dx.reshape(x.shape).astype(x.dtype),
        dkernel.reshape(kernel.shape).astype(kernel.dtype),
    )


def _cpu_3x3_grads(x, kernel, dy):
    """The weight gradient goes one image at a time: a batch of windows would leave the cache."""
    _, rows, cols, c = x.shape

    def one(pair):
        x, dy = pair
        padded = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
        taps = [padded[i : i + rows, j : j + cols] for i in range(3) for j in range(3)]
        windows = jnp.concatenate(taps, axis=-1).reshape(-1, 9 * c)
        return _dot(windows, dy.reshape(rows * cols, -1), (0, 0))

    _, vjp = jax.vjp(lambda x: _native_3x3(x, kernel), x)
    dkernel = jnp.sum(lax.map(one, (x, dy)), axis=0).reshape(kernel.shape)
    return vjp(dy)[0], dkernel.astype(kernel.dtype)


def _by_platform(native: Callable, cpu: Callable, cpu_grads: Callable) -> Callable:
    """A convolution of (x, kernel) whose forward and gradients are chosen at lowering."""

    def native_grads(x, kernel, dy):
        return jax.vjp(native, x, kernel)[1](dy)

    @jax.custom_vjp
    def convolve(x, kernel):
        return lax.platform_dependent(x, kernel, cpu=cpu, default=native)

    def forward(x, kernel):
        return convolve(x, kernel), (x, kernel)

    def backward(residuals, dy):
        return lax.platform_dependent(*residuals, dy, cpu=cpu_grads, default=native_grads)

    convolve.defvjp(forward, backward)
    return convolve


conv4x4_down = _by_platform(_native_down, _cpu_down, _cpu_down_grads)
conv4x4_down.__doc__ = "4x4, stride 2, padding 1: (b, 2h, 2w, i) with a kernel (4, 4, i, o)."
conv4x4_up = _by_platform(_native_up, _cpu_up, _cpu_up_grads)
conv4x4_up.__doc__ = "Its transpose: (b, h, w, i) to (b, 2h, 2w, o) with a kernel (4, 4, o, i)."
conv3x3 = _by_platform(_native_3x3, _native_3x3, _cpu_3x3_grads)
conv3x3.__doc__ = "3x3, stride 1, same size, with a kernel (3, 3, i, o)."


def upsample_conv3x3(x: Pictures, kernel: Kernel) -> Pictures:
    """Nearest x2, then `conv3x3`, as one 4x4 transposed convolution: 16 products for 36.

    A pixel repeated in a 2x2 block and then seen through 3x3 weights spreads over 4x4 pixels with
    the 3x3 weights convolved with a 2x2 block of ones.
    """
    flipped = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    spread = sum(
        jnp.pad(flipped, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0)))
        for i in range(2)
        for j in range(2)
    )
    return conv4x4_up(x, spread)


def unfused(x: jax.Array) -> jax.Array:
    """`x` itself, in a form that XLA does not fuse into the product before it.

    On a CPU a chain of 3x3 convolutions, biases, ReLUs and pools without gradients becomes one
    fusion that is half as slow again as its parts.
    """
    bits = jnp.finfo(x.dtype)
    return lax.reduce_precision(x, bits.nexp, bits.nmant)


@jax.custom_vjp
def max_pool(x: Pictures) -> Pictures:
    """The maximum of each 2x2 block; the gradient goes to the first one that attains it."""
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


def batch_norm(x: Pictures, train: bool, name: str) -> Pictures:
    """BatchNorm with pix2pix's initial scale, N(1, 0.02); running averages unless `train`.

    To be called in a module's compact method. Statistics are float32 whatever the dtype of `x`.
    """
    norm = nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        scale_init=_around_one,
        name=name,
    )
    return norm(x.astype(jnp.float32)).astype(x.dtype)
