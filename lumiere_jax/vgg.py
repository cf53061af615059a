"""Φ of Eq. 11: VGG-19 (Simonyan and Zisserman 2015) as pure functions on loaded weights.

Pictures are RGB in [0, 1]. Whatever the weights' origin, features come out in torchvision's scale:
Caffe's inputs are 255 · 0.225 times larger, and since ReLU and pooling commute with a positive
factor, dividing the input and every bias by it divides every feature by it.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lumiere_jax.errors import UserError
from lumiere_jax.layers import Pictures, conv3x3, max_pool

Params = dict[str, Any]
"""`mean` and `std` (3,) of the input, and for each convolution `kernel` (HWIO) and `bias`."""

# Convolutions of each block, and their channels.
_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
CONVOLUTIONS = tuple(f"{b}_{c}" for b, (n, _) in enumerate(_BLOCKS, 1) for c in range(1, n + 1))
_CAFFE_SCALE = 255 * 0.225
_HOW_TO_GET = (
    "fetch https://download.pytorch.org/models/vgg19-dcbb9e9d.pth and save its `features.*` arrays "
    "under their own names with numpy.savez as vgg19.npz, or choose none or random"
)


def load_vgg19(spec: str | Path) -> Params:
    """Weights from an npz file, or "random": seeded He weights, whose features see structure.

    The keys tell the convention: `features.0.weight` is torchvision's, `conv1_1.weight` Caffe's
    (BGR, 0 to 255); kernels are OIHW. A file may stop after any convolution. Raises UserError.
    """
    if str(spec) == "random":
        return _random()
    path = Path(spec)
    if not path.is_file():
        raise UserError(f"{path}: there are no VGG-19 weights here; {_HOW_TO_GET}.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: np.asarray(file[key], np.float32) for key in file.files}
    except (
        OSError,
        ValueError,
        TypeError,
        EOFError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise UserError(f"{path}: is not a readable npz file; {_HOW_TO_GET}.") from error
    return _convert(path, arrays)


def _sizes() -> dict[str, tuple[int, int]]:
    """Input and output channels by convolution."""
    channels = [size for n, size in _BLOCKS for _ in range(n)]
    return dict(zip(CONVOLUTIONS, zip([3, *channels], channels, strict=False), strict=True))


def _random() -> Params:
    generator = np.random.default_rng(0)
    params = _normalisation([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    for name, (i, o) in _sizes().items():
        kernel = generator.standard_normal((3, 3, i, o), np.float32) * np.sqrt(2 / (9 * i))
        params[name] = {"kernel": kernel.astype(np.float32), "bias": np.zeros(o, np.float32)}
    return jax.tree.map(jnp.asarray, params)


def _normalisation(mean: list[float], std: list[float]) -> Params:
    return {"mean": np.asarray(mean, np.float32), "std": np.asarray(std, np.float32)}


def _convert(path: Path, arrays: dict[str, np.ndarray]) -> Params:
    caffe = "conv1_1.weight" in arrays
    if caffe:
        keys = {name: f"conv{name}" for name in CONVOLUTIONS}
        params = _normalisation([123.68 / 255, 116.779 / 255, 103.939 / 255], [0.225] * 3)
    else:
        keys = {name: f"features.{index}" for name, index in _torchvision_indices().items()}
        params = _normalisation([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    for name, (i, o) in _sizes().items():
        if f"{keys[name]}.weight" not in arrays:
            break  # the file ends here, and so do the layers it allows
        kernel, bias = arrays[f"{keys[name]}.weight"], arrays.get(f"{keys[name]}.bias")
        if kernel.shape != (o, i, 3, 3) or bias is None or bias.shape != (o,):
            raise UserError(
                f"{path}: {keys[name]} does not have VGG-19's shape ({o}, {i}, 3, 3) with a bias "
                f"of {o}; {_HOW_TO_GET}."
            )
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise UserError(
                f"{path}: {keys[name]} holds numbers that are not finite; {_HOW_TO_GET}."
            )
        if caffe:
            kernel = kernel[:, ::-1] if name == "1_1" else kernel
            bias = bias / _CAFFE_SCALE
        params[name] = {"kernel": kernel.transpose(2, 3, 1, 0), "bias": bias}
    if "1_1" not in params:
        raise UserError(f"{path}: holds no weights of VGG-19's first convolution; {_HOW_TO_GET}.")
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)


def _torchvision_indices() -> dict[str, int]:
    """A convolution and its ReLU take two places in torchvision's list, a pool one."""
    indices, index = {}, 0
    for b, (n, _) in enumerate(_BLOCKS, 1):
        for c in range(1, n + 1):
            indices[f"{b}_{c}"] = index
            index += 2
        index += 1
    return indices


def _plan() -> list[str]:
    """The names of all layers in order: relu1_1, relu1_2, pool1, relu2_1, ..."""
    plan = []
    for b, (n, _) in enumerate(_BLOCKS, 1):
        plan += [f"relu{b}_{c}" for c in range(1, n + 1)] + [f"pool{b}"]
    return plan


LAYERS = tuple(_plan())


def allowed_layers(params: Params) -> tuple[str, ...]:
    """The layers that the loaded weights reach, in order."""
    allowed: list[str] = []
    for layer in _plan():
        if layer.startswith("relu") and layer.removeprefix("relu") not in params:
            break
        allowed.append(layer)
    return tuple(allowed)


def check_layers(params: Params, layers: tuple[str, ...]) -> None:
    """UserError if a layer is unknown, or deeper than the weights go."""
    allowed = allowed_layers(params)
    for layer in layers:
        if layer not in allowed:
            raise UserError(
                f"VGG layer {layer!r} is not among those that the loaded weights allow: "
                f"{', '.join(allowed)}; choose from these or load weights that go deeper."
            )


def features(params: Params, images: Pictures, layers: tuple[str, ...]) -> list[Pictures]:
    """The named layers' features, in the order asked; nothing beyond the deepest is computed."""
    check_layers(params, layers)
    plan = _plan()
    deepest = max((plan.index(layer) for layer in layers), default=-1)
    x = (images - params["mean"].reshape(1, 1, 1, 3)) / params["std"].reshape(1, 1, 1, 3)
    found = {}
    for layer in plan[: deepest + 1]:
        if layer.startswith("pool"):
            x = max_pool(x)
        else:
            weights = params[layer.removeprefix("relu")]
            x = jax.nn.relu(conv3x3(x, weights["kernel"]) + weights["bias"].reshape(1, 1, 1, -1))
        found[layer] = x
    return [found[layer] for layer in layers]
