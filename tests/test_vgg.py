"""VGG-19: layers, feature scale, formats, and what bad files get."""

import functools
import hashlib
import http.server
import threading
from collections import OrderedDict

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from torch_writer import save_legacy, save_zip

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
    traced = jax.jit(vgg.features, static_argnums=2).trace(random, images, ("relu2_1",))
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("stablehlo.convolution(") == 3


def test_features_come_in_the_order_asked(random, images):
    pool, relu = vgg.features(random, images, ("pool1", "relu1_1"))
    assert pool.shape[1] == 16 and relu.shape[1] == 32


def save(path, arrays):
    np.savez(path, **arrays)
    return path


def torchvision_arrays():
    """conv1_1 to conv2_1."""
    generator = np.random.default_rng(1)
    arrays = {}
    for index, i, o in ((0, 3, 64), (2, 64, 64), (5, 64, 128)):
        kernel = generator.normal(size=(o, i, 3, 3)) * np.sqrt(2 / (9 * i))
        arrays[f"features.{index}.weight"] = kernel.astype(np.float32)
        arrays[f"features.{index}.bias"] = generator.normal(size=o).astype(np.float32) / 4
    return arrays


def caffe_arrays(arrays=None):
    """The same network for BGR, 0 to 255."""
    arrays = arrays or torchvision_arrays()
    keys = {"features.0": "conv1_1", "features.2": "conv1_2", "features.5": "conv2_1"}
    found = {}
    for theirs, name in keys.items():
        kernel = arrays[f"{theirs}.weight"]
        found[f"{name}.weight"] = kernel[:, ::-1].copy() if name == "conv1_1" else kernel
        found[f"{name}.bias"] = arrays[f"{theirs}.bias"] * np.float32(255 * 0.225)
    return found


def save_keras(path, caffe, newer=False, prefix=""):
    """As Keras wrote its weights in 2016, or writes them now."""
    with h5py.File(path, "w") as file:
        for key, array in caffe.items():
            name, part = key.replace("conv", "block").replace("_", "_conv").split(".")
            part = {"weight": "kernel", "bias": "bias"} if newer else {"weight": "W", "bias": "b"}
            part = part["weight" if array.ndim == 4 else "bias"]
            leaf = f"{name}/{part}:0" if newer else f"{name}_{part}_1:0"
            place = file.require_group(f"{prefix}{name}")
            place[leaf] = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        file.create_group(f"{prefix}block1_pool")


def save_bare(path, arrays):
    save_zip(path, OrderedDict((k.removeprefix("features."), a) for k, a in arrays.items()))


def with_classifier(save):
    """torchvision's file has more than the convolutions."""
    return lambda path, arrays: save(path, {**arrays, "classifier.0.bias": np.ones(9, np.float32)})


FORMATS = {
    "npz": lambda path, arrays: np.savez(open(path, "wb"), **arrays),
    "pth": with_classifier(save_zip),
    "legacy pth": with_classifier(save_legacy),
    "features' own pth": save_bare,
    "safetensors": with_classifier(lambda path, arrays: safetensors.numpy.save_file(arrays, path)),
}


def same(a, b):
    return a.keys() == b.keys() and jax.tree.all(jax.tree.map(np.array_equal, a, b))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_network(tmp_path, name):
    expected = vgg.load_vgg19(save(tmp_path / "whole.npz", torchvision_arrays()))
    FORMATS[name](tmp_path / "weights", torchvision_arrays())
    params = vgg.load_vgg19(tmp_path / "weights")
    assert vgg.allowed_layers(params)[-1] == "relu2_1" and same(params, expected)


CONVENTIONS = {
    "caffe npz": lambda path: np.savez(open(path, "wb"), **caffe_arrays()),
    "caffe safetensors": lambda path: safetensors.numpy.save_file(caffe_arrays(), path),
    "keras": lambda path: save_keras(path, caffe_arrays()),
    "keras, kernel and bias": lambda path: save_keras(path, caffe_arrays(), newer=True),
    "keras, whole model": lambda path: save_keras(path, caffe_arrays(), True, "model_weights/"),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_caffes_and_keras_weights_are_brought_to_torchvisions_scale(tmp_path, images, name):
    """The same net written in the other convention gives the same features, up to the means
    (which differ by 2e-3) and the deviations (0.229 and 0.224 for 0.225)."""
    CONVENTIONS[name](tmp_path / "weights")
    ours = vgg.load_vgg19(tmp_path / "weights")
    theirs = vgg.load_vgg19(save(tmp_path / "torch.npz", torchvision_arrays()))
    np.testing.assert_allclose(ours["mean"], theirs["mean"], atol=2e-3)
    np.testing.assert_allclose(ours["std"], theirs["std"], atol=5e-3)
    theirs |= {"mean": ours["mean"], "std": ours["std"]}
    layers = ("relu1_1", "pool1", "relu2_1")
    for a, b in zip(
        vgg.features(ours, images, layers), vgg.features(theirs, images, layers), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_keras_weights_see_keras_input(tmp_path, images):
    """conv1_1 on BGR, 0 to 255, less Keras's means, by hand for one pixel."""
    save_keras(tmp_path / "vgg.h5", caffe_arrays())
    (found,) = vgg.features(vgg.load_vgg19(tmp_path / "vgg.h5"), images, ("relu1_1",))
    patch = np.asarray(images)[0, 9:12, 4:7, ::-1] * 255 - [103.939, 116.779, 123.68]
    with h5py.File(tmp_path / "vgg.h5") as file:
        kernel = file["block1_conv1/block1_conv1_W_1:0"][()]
        bias = file["block1_conv1/block1_conv1_b_1:0"][()]
    expected = np.maximum(np.einsum("rcio,rci->o", kernel, patch) + bias, 0) / (255 * 0.225)
    np.testing.assert_allclose(found[0, 10, 5], expected, atol=1e-4)
    assert expected.max() > 0.5


def test_real_weights_are_the_same_in_every_format(shared, tmp_path):
    with np.load(shared / FILE) as file:
        arrays = {key: file[key] for key in file.files}
    expected = vgg.load_vgg19(shared / FILE)
    for write in (save_zip, save_legacy, save_keras, FORMATS["safetensors"]):
        write(tmp_path / "weights", arrays)
        assert same(vgg.load_vgg19(tmp_path / "weights"), expected)


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


def test_a_file_that_is_not_there_says_what_to_fetch(tmp_path):
    message = r"nowhere.npz: there are no .*vgg19-dcbb9e9d.pth .*h5 or npz.*--config.vgg=FILE"
    with pytest.raises(UserError, match=message):
        vgg.load_vgg19(tmp_path / "nowhere.npz")


def test_arrays_that_are_not_vgg19s_are_refused(tmp_path):
    arrays = torchvision_arrays()
    nan, inf = np.full(64, np.nan, np.float32), np.full(64, 1e300)
    for change, message in (
        ({"features.0.weight": np.zeros((32, 3, 3, 3))}, r"1_1 .*shape \(64, 3, 3, 3\)"),
        ({"features.0.weight": np.zeros((3, 3, 3, 64))}, r"1_1 .*shape \(64, 3, 3, 3\)"),
        ({"features.2.bias": np.zeros(3)}, "1_2 .*a bias of 64"),
        ({"features.0.bias": nan}, "1_1 holds numbers that are not finite"),
        ({"features.2.bias": inf}, "1_2 holds numbers that are not finite"),
        ({"features.1.weight": np.zeros(64)}, "another network"),  # a batch normalisation
        ({"features.10.weight": np.zeros((256, 128, 3, 3))}, "another network.*2_2 is missing"),
    ):
        with pytest.raises(UserError, match=message):
            vgg.load_vgg19(save(tmp_path / "odd.npz", arrays | change))
    for other in ({}, {"a": np.zeros(3)}, {"features.5.weight": np.zeros((128, 64, 3, 3))}):
        with pytest.raises(UserError, match="first convolution"):
            vgg.load_vgg19(save(tmp_path / "other.npz", other))


@pytest.fixture
def server(tmp_path, monkeypatch):
    """torchvision's server, on this machine, and an empty cache; returns what was asked for."""
    (tmp_path / "server").mkdir()
    save_legacy(tmp_path / "server" / vgg._FILE, OrderedDict(torchvision_arrays()))
    content = (tmp_path / "server" / vgg._FILE).read_bytes()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=tmp_path / "server")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=[0.05])
        thread.start()
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setenv("LUMIERE_JAX_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(vgg, "_SERVER", f"http://127.0.0.1:{running.server_port}/")
        monkeypatch.setattr(vgg, "_SHA256", hashlib.sha256(content).hexdigest())
        yield asked
        running.shutdown()
        thread.join()


def test_a_download_is_kept(server, tmp_path):
    for _ in range(2):
        assert vgg.allowed_layers(vgg.load_vgg19("download"))[-1] == "relu2_1"
    assert server == ["/vgg19-dcbb9e9d.pth"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["vgg19-dcbb9e9d.pth"]


def test_a_download_of_another_file_is_refused_and_not_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(vgg, "_SHA256", "dcbb9e9d" + 56 * "0")
    with pytest.raises(UserError, match="vgg19-dcbb9e9d.pth is not the file it was"):
        vgg.load_vgg19("download")
    assert server and not list((tmp_path / "cache").iterdir())


def test_without_a_network_one_sentence_says_what_to_do(server, tmp_path, monkeypatch):
    monkeypatch.setattr(vgg, "_SERVER", "http://127.0.0.1:9/")  # the port that discards
    message = r"cannot be fetched \(ConnectionError.*pth .*h5 or npz\).*--config.vgg=FILE"
    with pytest.raises(UserError, match=message):
        vgg.load_vgg19("download")
    monkeypatch.setenv("LUMIERE_JAX_CACHE", str(tmp_path / "server" / vgg._FILE / "cache"))
    with pytest.raises(UserError, match="cannot be fetched .*cache .*LUMIERE_JAX_CACHE can move"):
        vgg.load_vgg19("download")


def test_the_checksum_is_the_names():
    assert len(vgg._SHA256) == 64 and vgg._FILE == f"vgg19-{vgg._SHA256[:8]}.pth"
