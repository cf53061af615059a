"""The fast paths equal the native convolutions, forward and in both gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from lumiere_jax import convolutions, matmul_convolutions
from lumiere_jax.training import device_mesh

NHWC = ("NHWC", "HWIO", "NHWC")


def down(x, k):
    return lax.conv_general_dilated(x, k, (2, 2), ((1, 1), (1, 1)), dimension_numbers=NHWC)


def up(x, k):
    """The transpose of `down` by definition: the gradient of its input."""
    shape = (x.shape[0], 2 * x.shape[1], 2 * x.shape[2], k.shape[2])
    return jax.linear_transpose(lambda y: down(y, k), jax.ShapeDtypeStruct(shape, x.dtype))(x)[0]


def same(x, k):
    return lax.conv_general_dilated(x, k, (1, 1), ((1, 1), (1, 1)), dimension_numbers=NHWC)


def nearest(x, k):
    return same(jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2), k)


CASES = {
    "down": (convolutions.conv4x4_down, down, (1, 8, 12, 5), (4, 4, 5, 7)),
    "down, wide": (convolutions.conv4x4_down, down, (3, 8, 12, 5), (4, 4, 5, 6)),
    "down to one pixel": (convolutions.conv4x4_down, down, (2, 2, 2, 5), (4, 4, 5, 7)),
    "up": (convolutions.conv4x4_up, up, (3, 4, 6, 5), (4, 4, 7, 5)),
    "up from one pixel": (convolutions.conv4x4_up, up, (2, 1, 1, 5), (4, 4, 7, 5)),
    "same": (convolutions.conv3x3, same, (3, 6, 8, 5), (3, 3, 5, 7)),
    "down, Winograd": (convolutions.conv4x4_down, down, (2, 64, 32, 16), (4, 4, 16, 3)),
    "up, Winograd": (convolutions.conv4x4_up, up, (2, 32, 16, 3), (4, 4, 16, 3)),
    "same, Winograd": (convolutions.conv3x3, same, (2, 16, 32, 32), (3, 3, 32, 2)),
    "same, windows": (convolutions.conv3x3, same, (2, 4, 3, 256), (3, 3, 256, 2)),
    "upsample": (convolutions.upsample_conv3x3, nearest, (3, 4, 6, 5), (3, 3, 5, 7)),
}


def draw(*shapes, seed=0):
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]


@pytest.mark.parametrize("case", CASES)
def test_convolutions_equal_lax_forward_and_in_gradients(case):
    fast, native, *shapes = CASES[case]
    x, kernel = draw(*shapes)

    @jax.jit
    def both(x, kernel):
        results = []
        for function in (fast, native):
            y, vjp = jax.vjp(function, x, kernel)
            results.append((y, *vjp(jnp.cos(jnp.arange(y.size)).reshape(y.shape))))
        return results

    for ours, theirs in zip(*both(x, kernel), strict=True):
        equal(ours, theirs)


def equal(ours, theirs):
    """To float32's rounding of sums."""
    largest = np.abs(theirs).max()
    assert largest > 0.1
    np.testing.assert_allclose(ours, theirs, atol=3e-6 * largest)


@pytest.mark.parametrize("cached", [1, 10**7], ids=["one by one", "together"])
@pytest.mark.parametrize(
    "form, native, kernel",
    [
        (matmul_convolutions.WINDOWS, down, (4, 4, 5, 7)),
        (matmul_convolutions.WINOGRAD, down, (4, 4, 5, 7)),
        (matmul_convolutions.WINDOWS3, same, (3, 3, 5, 7)),
        (matmul_convolutions.WINOGRAD3, same, (3, 3, 5, 7)),
    ],
    ids=["windows", "Winograd", "windows 3x3", "Winograd 3x3"],
)
def test_every_form_is_the_convolution_its_transpose_and_their_gradients(
    monkeypatch, form, native, kernel, cached
):
    monkeypatch.setattr(matmul_convolutions, "CACHED", cached)
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    x, kernel, y = draw((3, 8, 12, 5), kernel, (3, 8 // form.stride, 12 // form.stride, 7))

    def transposed(y, kernel):
        return jax.linear_transpose(lambda x: native(x, kernel), x)(y)[0]

    def found(x, kernel, y):
        return (
            matmul_convolutions.down(form, x, kernel),
            matmul_convolutions.down_gradients(form, x, kernel, y),
            matmul_convolutions.kernel_gradient(form, x, y, kernel.shape),
            matmul_convolutions.up(form, y, kernel),
            matmul_convolutions.up_gradients(form, y, kernel, x),
        )

    y_of_x, gradients = jax.vjp(native, x, kernel)
    x_of_y, gradients_of_transposed = jax.vjp(transposed, y, kernel)
    dx, dkernel = gradients(y)
    expected = y_of_x, (dx, dkernel), dkernel, x_of_y, gradients_of_transposed(x)
    assert str(jax.make_jaxpr(found)(x, kernel, y)).count("scan") == (5 if cached == 1 else 0)
    jax.tree.map(equal, found(x, kernel, y), expected)


@pytest.mark.parametrize(
    "form, share",
    [(matmul_convolutions.WINOGRAD, 9 / 16), (matmul_convolutions.WINOGRAD3, 16 / 36)],
)
def test_winograds_forms_take_fewer_products(form, share):
    x, kernel = draw((1, 8, 8, 2), (4, 4, 2, 3) if form.stride == 2 else (3, 3, 2, 3))
    pairs = zip(form.tiles(x), form.taps(kernel), strict=True)
    products_of_windows = (8 // form.stride) ** 2 * kernel.size
    assert sum(tile.size * tap.shape[1] for tile, tap in pairs) == share * products_of_windows


def lowered(platform):
    x, kernel = draw((2, 4, 4, 4), (4, 4, 4, 4))
    step = jax.jit(jax.value_and_grad(lambda k: jnp.sum(convolutions.conv4x4_up(x, k) ** 2)))
    return step.trace(kernel).lower(lowering_platforms=(platform,)).as_text()


def test_the_platform_is_chosen_at_lowering():
    assert "stablehlo.convolution" not in lowered("cpu")
    assert lowered("cuda").count("stablehlo.convolution(") == 2
    assert lowered("tpu").count("stablehlo.convolution(") == 2


@pytest.mark.parametrize("case", CASES)
def test_bf16_products_stay_within_a_percent_of_float32(case):
    fast, _, *shapes = CASES[case]
    x, kernel = draw(*shapes)

    @jax.jit
    def forward_and_gradients(x, kernel):
        y, vjp = jax.vjp(fast, x, kernel)
        return y, *vjp(y)

    exact = forward_and_gradients(x, kernel)
    rounded = forward_and_gradients(x.astype(jnp.bfloat16), kernel)
    assert [r.dtype for r in rounded] == [jnp.bfloat16, jnp.bfloat16, jnp.float32]
    for full, half in zip(exact, rounded, strict=True):
        error = np.linalg.norm(np.asarray(half, np.float32) - full) / np.linalg.norm(full)
        assert error < 0.01


def test_pictures_that_are_spread_over_devices_stay_where_they_are(monkeypatch):
    monkeypatch.setattr(matmul_convolutions, "CACHED", 1)
    mesh = device_mesh.data_mesh(jax.device_count())
    spread = NamedSharding(mesh, PartitionSpec("data"))
    x = jax.ShapeDtypeStruct((mesh.size, 64, 64, 16), jnp.float32, sharding=spread)
    kernel = jax.ShapeDtypeStruct((4, 4, 16, 4), jnp.float32, sharding=device_mesh.whole(mesh))

    def loss(x, kernel):
        return (convolutions.conv4x4_down(x, kernel) ** 2).mean()

    compiled = jax.jit(jax.grad(loss, (0, 1))).lower(x, kernel).compile().as_text()
    assert "all-reduce" in compiled and "all-gather" not in compiled


@pytest.mark.parametrize(
    "shape, form",
    [
        ((48, 32, 24, 32), matmul_convolutions.WINOGRAD3),
        ((1, 256, 256, 128), matmul_convolutions.WINOGRAD3),
        ((1, 4, 3, 1024), matmul_convolutions.WINDOWS3),
        ((1, 8, 6, 512), matmul_convolutions.WINDOWS3),
        ((1, 256, 256, 64), None),
        ((1, 255, 255, 256), None),  # windows of so many positions are gigabytes
        ((8, 64, 64, 16), None),
    ],
)
def test_the_form_of_a_3x3_convolution_is_the_fastest_that_was_measured(shape, form):
    assert convolutions._form3(*shape) is form
