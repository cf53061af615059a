"""4x4 convolutions at stride 2 and 3x3 ones, forward and gradients, fast on every platform.

Pictures are (batch, rows, cols, channels). On a CPU they are matrix products
(`matmul_convolutions.py`), since XLA's own convolutions and their gradients are several times
slower there; elsewhere the native ones run. Which one is chosen when a computation is lowered, and
parameters and results are the same.

Products run in the dtype of `x` and accumulate in float32.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from lumiere_jax import matmul_convolutions
from lumiere_jax.matmul_convolutions import Form
from lumiere_jax.shapes import AnyArray

NHWC = ("NHWC", "HWIO", "NHWC")
Pictures = Float[AnyArray, "batch _rows _cols _channels"]
Kernel = Float[AnyArray, "_rows _cols _in _out"]


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


def _form(b: int, rows: int, cols: int, channels: int) -> Form:
    """Of a 4x4 kernel over pictures of this shape.

    Winograd's larger kernels cost more than they save where positions are few, its additions where
    channels are; and it takes positions two by two.
    """
    pays = b * rows * cols >= 4096 and channels >= 16 and rows % 4 == 0 == cols % 4
    return matmul_convolutions.WINOGRAD if pays else matmul_convolutions.WINDOWS


def _cpu_down(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return matmul_convolutions.down(_form(*x.shape), x, kernel)


def _cpu_up(y: jax.Array, kernel: jax.Array) -> jax.Array:
    b, h, w, _ = y.shape
    return matmul_convolutions.up(_form(b, 2 * h, 2 * w, kernel.shape[2]), y, kernel)


def _cpu_down_grads(x: jax.Array, kernel: jax.Array, dy: jax.Array):
    return matmul_convolutions.down_gradients(_form(*x.shape), x, kernel, dy)


def _cpu_up_grads(y: jax.Array, kernel: jax.Array, dx: jax.Array):
    return matmul_convolutions.up_gradients(_form(*dx.shape), y, kernel, dx)


def _form3(b: int, rows: int, cols: int, channels: int) -> Form | None:
    """Of a 3x3 kernel over pictures of this shape; None where XLA's own convolution is fastest.

    Winograd's under the same conditions as above, and not where pictures are large and channels
    few, whose matrices leave the cache. Windows of few positions with many channels, whose kernel
    is most of what is read: XLA's convolution reads it slowly.
    """
    even, positions = rows % 2 == 0 == cols % 2, b * rows * cols
    large = rows * cols >= 2**16
    if even and positions >= 256 and channels >= (128 if large else 32):
        return matmul_convolutions.WINOGRAD3
    return matmul_convolutions.WINDOWS3 if channels >= 256 and positions <= 1024 else None


def _cpu_3x3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    form = _form3(*x.shape)
    return matmul_convolutions.down(form, x, kernel) if form else _native_3x3(x, kernel)


def _cpu_3x3_grads(x: jax.Array, kernel: jax.Array, dy: jax.Array):
    if form := _form3(*x.shape):
        return matmul_convolutions.down_gradients(form, x, kernel, dy)
    _, vjp = jax.vjp(lambda x: _native_3x3(x, kernel), x)
    return vjp(dy)[0], matmul_convolutions.kernel_gradient(
        matmul_convolutions.WINDOWS3, x, dy, kernel.shape
    )


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
conv3x3 = _by_platform(_native_3x3, _cpu_3x3, _cpu_3x3_grads)
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
