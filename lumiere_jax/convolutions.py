"""4x4 convolutions at stride 2 and 3x3 ones, forward and gradients, fast on every platform.

Pictures are (batch, rows, cols, channels). On a CPU, convolutions are matrix products
(`matmul_convolutions.py`), because XLA's own and their gradients are several times slower there.
Other platforms run XLA's. The choice is made when a computation is lowered; parameters and results
are the same.

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
    """Chooses the form of a 4x4 kernel over pictures of this shape.

    Winograd's larger kernels cost more than they save where positions are few, and its additions
    where channels are few. It takes positions in pairs, so rows and cols are multiples of 4.
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
    """Chooses the form of a 3x3 kernel over pictures of this shape; None for XLA's convolution.

    Winograd's form pays under the same conditions as in `_form`. It does not pay for large pictures
    with few channels, whose matrices leave the cache. Windows pay for few positions with many
    channels: most of what is read is the kernel, which XLA's convolution reads slowly.
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
    """Makes a convolution of (x, kernel) that chooses forward and gradients at lowering."""

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
conv4x4_down.__doc__ = "Convolves (b, 2h, 2w, i) with a kernel (4, 4, i, o) at stride 2, padding 1."
conv4x4_up = _by_platform(_native_up, _cpu_up, _cpu_up_grads)
conv4x4_up.__doc__ = (
    "Convolves (b, h, w, i) with a kernel (4, 4, o, i), transposed, to (b, 2h, 2w, o)."
)
conv3x3 = _by_platform(_native_3x3, _cpu_3x3, _cpu_3x3_grads)
conv3x3.__doc__ = "Convolves with a kernel (3, 3, i, o) at stride 1; rows and cols stay."


def upsample_conv3x3(x: Pictures, kernel: Kernel) -> Pictures:
    """Upsamples by 2 (nearest), then convolves 3x3, as one 4x4 transposed convolution.

    That takes 16 products instead of 36. A pixel repeated in a 2x2 block and then convolved with
    3x3 weights spreads over 4x4 pixels. Its weights there are the 3x3 weights convolved with a 2x2
    block of ones.
    """
    flipped = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    spread = sum(
        jnp.pad(flipped, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0)))
        for i in range(2)
        for j in range(2)
    )
    return conv4x4_up(x, spread)
