"""Convolutions as matrix products, for processors whose products outrun their convolutions.

A form has three linear maps to lists of matrices: of a convolution's input (`tiles`), its kernel
(`taps`) and its output (`outputs`). With products pair by pair, and each map's transpose, the
convolution and its gradients are

    y  = outputs^T (tiles(x) taps(k))
    dx = tiles^T (outputs(dy) taps(k)^T)
    dk = taps^T (tiles(x)^T outputs(dy))

and dx is the transposed convolution of dy. `WINDOWS` has one matrix in each list, and its tiles are
the windows of x. The others are minimal filtering (Winograd; Lavin and Gray 2016, equation 8): 9
products where the 4x4 kernel at stride 2 takes 16, and 16 where the 3x3 kernel takes 36. Their maps
only add and halve, so results differ from a convolution's by float32's rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Matrices = list[jax.Array]
Rows = tuple[tuple[float | int, ...], ...]
Cut = Callable[[jax.Array], Matrices]

# Numbers that fit in a processor's last cache; larger arrays are read at half the speed.
CACHED = 5_000_000


@dataclass(frozen=True)
class Form:
    """Linear maps that turn a convolution into matrix products.

    Attributes:
      stride: Stride of the convolution.
      tiles: Maps inputs (b, h stride, w stride, in) to matrices (positions, numbers).
      taps: Maps a kernel (rows, cols, in, out) to matrices (numbers, out).
      outputs: Maps outputs (b, h, w, out) to matrices (positions, out).
    """

    stride: int
    tiles: Cut
    taps: Cut
    outputs: Cut


def down(form: Form, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves x (b, h stride, w stride, in) to (b, h, w, out)."""
    b, rows, cols, _ = x.shape
    shape = (b, rows // form.stride, cols // form.stride, kernel.shape[3])
    taps = _cast(form.taps(kernel), x)

    def some(x: jax.Array) -> jax.Array:
        y = _products(form.tiles(x), taps, (1, 0))
        return _add(form.outputs, y, (len(x), *shape[1:])).astype(x.dtype)

    return _map(some, _together(form, x.shape, shape), x)


def up(form: Form, y: jax.Array, kernel: jax.Array) -> jax.Array:
    """Applies the transposed convolution to y (b, h, w, out): (b, h stride, w stride, in)."""
    b, h, w, _ = y.shape
    shape = (b, h * form.stride, w * form.stride, kernel.shape[2])
    taps = _cast(form.taps(kernel), y)

    def some(y: jax.Array) -> jax.Array:
        x = _products(form.outputs(y), taps, (1, 1))
        return _add(form.tiles, x, (len(y), *shape[1:])).astype(y.dtype)

    return _map(some, _together(form, shape, y.shape), y)


def down_gradients(
    form: Form, x: jax.Array, kernel: jax.Array, dy: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns gradients of `down` with respect to x and the kernel; dy is (b, h, w, out)."""
    taps = _cast(form.taps(kernel), x)

    def back(_: Matrices, outputs: Matrices, count: int) -> jax.Array:
        dx = _products(outputs, taps, (1, 1))
        return _add(form.tiles, dx, (count, *x.shape[1:])).astype(x.dtype)

    return _gradients(form, x, dy, kernel.shape, back)


def up_gradients(
    form: Form, y: jax.Array, kernel: jax.Array, dx: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns gradients of `up` with respect to y and the kernel.

    dx, the gradient of its result, is (b, h stride, w stride, in).
    """
    taps = _cast(form.taps(kernel), y)

    def back(tiles: Matrices, _: Matrices, count: int) -> jax.Array:
        dy = _products(tiles, taps, (1, 0))
        return _add(form.outputs, dy, (count, *y.shape[1:])).astype(y.dtype)

    return _gradients(form, dx, y, kernel.shape, back)


def kernel_gradient(form: Form, x: jax.Array, dy: jax.Array, shape: Sequence[int]) -> jax.Array:
    """Returns the gradient of `down` for a kernel of `shape` (rows, cols, in, out)."""
    return _gradients(form, x, dy, shape, lambda *_: None)[1]


def _gradients(
    form: Form, x: jax.Array, y: jax.Array, kernel: Sequence[int], back: Callable
) -> tuple[Any, jax.Array]:
    """Returns `back(tiles, outputs, pictures)` of all pictures, and the kernel's gradient."""

    def some(pictures: tuple[jax.Array, jax.Array]) -> tuple[jax.Array | None, Matrices]:
        tiles, outputs = form.tiles(pictures[0]), form.outputs(pictures[1])
        return back(tiles, outputs, len(pictures[0])), _products(tiles, outputs, (0, 0))

    found, dtaps = _map_and_sum(some, _together(form, x.shape, y.shape), (x, y))
    return found, _add(form.taps, dtaps, kernel)


def _products(a: Matrices, b: Matrices, axes: tuple[int, int]) -> Matrices:
    """Contracts pairs of matrices over one axis each; bf16 is slow without a float32 result."""
    dims = (((axes[0],), (axes[1],)), ((), ()))
    dot = partial(lax.dot_general, dimension_numbers=dims, preferred_element_type=jnp.float32)
    return [dot(x, y) for x, y in zip(a, b, strict=True)]


def _cast(matrices: Matrices, like: jax.Array) -> Matrices:
    return [m.astype(like.dtype) for m in matrices]


def _add(cut: Cut, matrices: Matrices, shape: Sequence[int]) -> jax.Array:
    """Applies the transpose of `cut`, whose argument has `shape`."""
    like = jax.ShapeDtypeStruct(tuple(shape), jnp.float32)
    return jax.linear_transpose(cut, like)(matrices)[0]


def _together(form: Form, high: Sequence[int], low: Sequence[int]) -> int:
    """Returns the largest divisor of the batch whose matrices fit in the cache.

    Returns the whole batch where several devices share it: a loop would gather every group.
    """
    if jax.device_count() > 1:
        return high[0]
    numbers = [
        sum(m.size for m in jax.eval_shape(cut, jax.ShapeDtypeStruct((1, *shape[1:]), jnp.float32)))
        for cut, shape in ((form.tiles, high), (form.outputs, low))
    ]
    most = max(CACHED // max(numbers), 1)
    return max(n for n in range(1, high[0] + 1) if high[0] % n == 0 and n <= most)


def _map(function: Callable, together: int, x: jax.Array) -> jax.Array:
    """Applies `function` to `together` pictures at a time."""
    if together == len(x):
        return function(x)
    y = lax.map(function, x.reshape(-1, together, *x.shape[1:]))
    return y.reshape(-1, *y.shape[2:])


def _map_and_sum(function: Callable, together: int, pictures: tuple) -> tuple:
    """Applies `function` to `together` pictures at a time, and sums its second result."""
    if together == len(pictures[0]):
        return function(pictures)
    groups = jax.tree.map(lambda x: x.reshape(-1, together, *x.shape[1:]), pictures)

    def add(total: Matrices, some: tuple) -> tuple[Matrices, jax.Array | None]:
        y, terms = function(some)
        return jax.tree.map(jnp.add, total, terms), y

    first = jax.tree.map(lambda x: x[0], groups)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, first)[1])
    total, y = lax.scan(add, zeros, groups)
    return jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), y), total


def _halves(x: jax.Array, axis: int) -> list[jax.Array]:
    """Splits an axis of two items; the transpose of a split is one concatenation."""
    return [half.squeeze(axis) for half in lax.split(x, (1, 1), axis)]


def _windows(x: jax.Array) -> Matrices:
    """Cuts the 4x4 windows at stride 2 of x padded by 1: (b, 2h, 2w, c) to (b h w, 16 c).

    Two neighbouring columns are one row of 2c numbers, so eight slices make the sixteen taps.
    """
    b, rows, cols, c = x.shape
    h, w = rows // 2, cols // 2
    pairs = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(b, h + 1, 2, w + 1, 2 * c)
    even_odd = _halves(pairs, 2)
    taps = [even_odd[u % 2][:, u // 2 : u // 2 + h, v : v + w] for u in range(4) for v in range(2)]
    return [jnp.concatenate(taps, axis=-1).reshape(b * h * w, 16 * c)]


def _windows3(x: jax.Array) -> Matrices:
    """Cuts the 3x3 windows of x padded by 1: (b, h, w, c) to (b h w, 9 c)."""
    b, h, w, c = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
    return [jnp.concatenate(taps, axis=-1).reshape(b * h * w, 9 * c)]


def _matrix(x: jax.Array) -> Matrices:
    return [x.reshape(-1, x.shape[-1])]


@dataclass(frozen=True)
class _Winograd:
    """Minimal filtering for two neighbouring outputs of r taps, over rows and then over columns.

    `data`, `kernel` and `output` are Lavin and Gray's B^T, G and A. At stride 2, taps and data are
    blocks of 2x2 pixels.
    """

    stride: int
    data: Rows
    kernel: Rows
    output: Rows

    def tiles(self, x: jax.Array) -> Matrices:
        (b, rows, cols, c), u = x.shape, self.stride
        m, n = rows // (2 * u), cols // (2 * u)
        pad = (1, 2 * u - 1)
        x = jnp.pad(x, ((0, 0), pad, pad, (0, 0))).reshape(b, m + 1, 2, u, n + 1, 2, u * c)
        return [
            jnp.swapaxes(tile, 2, 3).reshape(b * m * n, u * u * c)
            for rows in self._near(x, 1)
            for tile in self._near(rows, 3)
        ]

    def _near(self, x: jax.Array, axis: int) -> Matrices:
        """Combines the data of each tile along `axis`; tiles begin two items apart."""
        size, two = x.shape[axis] - 1, _halves(x, axis + 1)
        items = [
            lax.slice_in_dim(two[i % 2], i // 2, i // 2 + size, axis=axis)
            for i in range(len(self.data[0]))
        ]
        return _combine(self.data, items)

    def taps(self, kernel: jax.Array) -> Matrices:
        (rows, cols, c, o), u = kernel.shape, self.stride
        kernel = kernel.reshape(rows // u, u, cols // u, u, c, o)
        return [
            tap.reshape(u * u * c, o)
            for across in _combine(self.kernel, list(kernel))
            for tap in _combine(self.kernel, [across[:, j] for j in range(cols // u)])
        ]

    def outputs(self, y: jax.Array) -> Matrices:
        b, h, w, o = y.shape
        y = y.reshape(b, h // 2, 2, w // 2, 2, o)
        return [
            output.reshape(-1, o)
            for rows in _combine(self.output, _halves(y, 2))
            for output in _combine(self.output, _halves(rows, 3))
        ]


def _combine(matrix: Rows, items: list[jax.Array]) -> list[jax.Array]:
    """Multiplies a matrix of few numbers by a list of arrays."""
    weighted = lambda w, x: x if w == 1 else -x if w == -1 else w * x  # noqa: E731
    return [
        sum(terms[1:], terms[0])
        for row in matrix
        for terms in [[weighted(w, x) for w, x in zip(row, items, strict=True) if w]]
    ]


def _form(w: _Winograd) -> Form:
    return Form(w.stride, w.tiles, w.taps, w.outputs)


WINDOWS = Form(2, _windows, _matrix, _matrix)
WINDOWS3 = Form(1, _windows3, _matrix, _matrix)
# F(2, 2): d0 g0 + d1 g1 and d1 g0 + d2 g1 from (d0 - d1) g0, d1 (g0 + g1) and (d1 - d2) g1.
WINOGRAD = _form(
    _Winograd(
        stride=2,
        data=((1, -1, 0), (0, 1, 0), (0, 1, -1)),
        kernel=((1, 0), (1, 1), (0, 1)),
        output=((1, 0), (1, 1), (0, -1)),
    )
)
# F(2, 3): Lavin and Gray's equation 7.
WINOGRAD3 = _form(
    _Winograd(
        stride=1,
        data=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        kernel=((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
        output=((1, 0), (1, 1), (1, -1), (0, -1)),
    )
)
