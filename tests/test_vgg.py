"""VGG-19: layers, feature scale, formats, and what bad files get."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lumiere_jax import vgg
from lumiere_jax.errors import UserError

FILE = "weights/vgg19_conv1_1_to_conv3_1_caffe_bgr.npz"


@pytest.fixture(scope="module")
def random():
    return vgg.load_vgg19("random")


@pytest.fixture
def images():
    return jax.random.uniform(jax.random.key(0), (2, 32, 32, 3))


def test_random_weights_are_seeded_and_complete(random):
    again = vgg.load_vgg19("random")
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), random, again))
    count = sum(x.size for name, conv in random.items() if "_" in name for x in conv.values())
    assert count == 20_024_384  # torchvision's vgg19().features


def test_features_have_vggs_shapes_and_keep_their_scale_with_depth(random, images):
    layers = ("relu1_1", "pool1", "pool2", "pool3", "relu5_1")
    found = jax.jit(vgg.features, static_argnums=2)(random, images, layers)
    shapes = [(2, 32, 32, 64), (2, 16, 16, 64), (2, 8, 8, 128), (2, 4, 4, 256), (2, 2, 2, 512)]
    assert [x.shape for x in found] == shapes
    assert all(0.1 < float(x.mean()) < 10 for x in found)


def test_nothing_beyond_the_deepest_layer_is_computed(random, images):
    text = jax.jit(vgg.features, static_argnums=2).lower(random, images, ("relu2_1",)).as_text()
    assert text.count("stablehlo.convolution(") == 3


def test_features_come_in_the_order_asked(random, images):
    pool, relu = vgg.features(random, images, ("pool1", "relu1_1"))
    assert pool.shape[1] == 16 and relu.shape[1] == 32


def save(path, arrays):
    np.savez(path, **arrays)
    return path


def torchvision_arrays():
    generator = np.random.default_rng(1)
    return {
        "features.0.weight": generator.normal(size=(64, 3, 3, 3)).astype(np.float32),
        "features.0.bias": generator.normal(size=64).astype(np.float32),
        "features.2.weight": generator.normal(size=(64, 64, 3, 3)).astype(np.float32) / 20,
        "features.2.bias": generator.normal(size=64).astype(np.float32),
    }


def test_caffe_weights_are_brought_to_torchvisions_scale(tmp_path, images):
    """The same net written in Caffe's convention gives the same features, up to the means."""
    torch = torchvision_arrays()
    scale = 255 * 0.225
    caffe = {
        "conv1_1.weight": torch["features.0.weight"][:, ::-1],
        "conv1_1.bias": torch["features.0.bias"] * scale,
        "conv1_2.weight": torch["features.2.weight"],
        "conv1_2.bias": torch["features.2.bias"] * scale,
    }
    ours = vgg.load_vgg19(save(tmp_path / "caffe.npz", caffe))
    theirs = vgg.load_vgg19(save(tmp_path / "torch.npz", torch))
    np.testing.assert_allclose(ours["mean"], theirs["mean"], atol=2e-3)
    theirs |= {"mean": ours["mean"], "std": ours["std"]}
    for a, b in zip(
        vgg.features(ours, images, ("relu1_1", "pool1")),
        vgg.features(theirs, images, ("relu1_1", "pool1")),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_real_weights_see_caffes_input(shared, images):
    """conv1_1 on BGR, 0 to 255, less Caffe's means, by hand for one pixel."""
    params = vgg.load_vgg19(shared / FILE)
    with np.load(shared / FILE) as file:
        kernel, bias = file["conv1_1.weight"], file["conv1_1.bias"]
    (found,) = vgg.features(params, images, ("relu1_1",))
    patch = np.asarray(images)[0, 9:12, 4:7, ::-1] * 255 - [103.939, 116.779, 123.68]
    expected = np.maximum(np.einsum("oirc,rci->o", kernel, patch) + bias, 0) / (255 * 0.225)
    np.testing.assert_allclose(found[0, 10, 5], expected, atol=1e-4)
    assert expected.max() > 0.5


def test_real_weights_reach_conv3_1_and_say_so(shared):
    params = vgg.load_vgg19(shared / FILE)
    assert vgg.allowed_layers(params)[-1] == "relu3_1"
    vgg.check_layers(params, ("relu1_1", "relu2_1", "relu3_1"))
    with pytest.raises(UserError, match="'pool3'.*relu1_1, .*pool2, relu3_1;"):
        vgg.check_layers(params, ("pool1", "pool2", "pool3"))


def test_gradients_reach_the_pictures(random, images):
    def loss(images):
        return jnp.sum(vgg.features(random, images, ("pool1",))[0])

    gradient = jax.jit(jax.grad(loss))(images)
    assert float((jnp.abs(gradient) > 0).mean()) > 0.9


def test_bad_files_say_what_to_do(tmp_path):
    missing = tmp_path / "nowhere.npz"
    with pytest.raises(UserError, match="nowhere.npz.*vgg19-dcbb9e9d.pth.*vgg19.npz"):
        vgg.load_vgg19(missing)
    whole = save(tmp_path / "whole.npz", torchvision_arrays()).read_bytes()
    for content in (b"", b"not an archive", whole[: len(whole) // 2]):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(UserError, match="broken.npz: is not a readable npz"):
            vgg.load_vgg19(tmp_path / "broken.npz")
    damaged = bytearray(whole)
    damaged[2000:2100] = bytes(100)
    (tmp_path / "damaged.npz").write_bytes(damaged)
    with pytest.raises(UserError, match="damaged.npz"):
        vgg.load_vgg19(tmp_path / "damaged.npz")


def test_arrays_that_are_not_vgg19s_are_refused(tmp_path):
    arrays = torchvision_arrays()
    for change, message in (
        ({"features.0.weight": np.zeros((32, 3, 3, 3))}, "shape"),
        ({"features.0.bias": np.full(64, np.nan)}, "not finite"),
    ):
        with pytest.raises(UserError, match=message):
            vgg.load_vgg19(save(tmp_path / "odd.npz", arrays | change))
    with pytest.raises(UserError, match="first convolution"):
        vgg.load_vgg19(save(tmp_path / "other.npz", {"a": np.zeros(3)}))
