"""Φ of Eq. 11: VGG-19 (Simonyan and Zisserman 2015) as pure functions on loaded weights.

Pictures are RGB in [0, 1]. Features come out in torchvision's scale, whatever the weights' origin.
Caffe's inputs are 255 · 0.225 times larger. ReLU and pooling commute with a positive factor, so
dividing the input and every bias by it divides every feature by it.
"""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from lumiere_jax.convolutions import Pictures, conv3x3
from lumiere_jax.errors import UserError, disk_is_full, is_disk_full
from lumiere_jax.layers import max_pool, unfused
from lumiere_jax.paths import CACHE, cache_folder, user_path
from lumiere_jax.weight_files import read_arrays

Params = dict[str, Any]
"""`mean` and `std` (3,) of the input, and for each convolution `kernel` (HWIO) and `bias`."""

# Convolutions of each block, and their channels.
_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
CONVOLUTIONS = tuple(f"{b}_{c}" for b, (n, _) in enumerate(_BLOCKS, 1) for c in range(1, n + 1))
_CAFFE_SCALE = 255 * 0.225

_SERVER = "https://download.pytorch.org/models/"
_FILE = "vgg19-dcbb9e9d.pth"
# The first eight digits are in the file's name, where torch.hub checks them too.
_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
_HOW_TO_GET = (
    f"fetch {_SERVER}{_FILE} (or VGG-19's weights as safetensors, Keras's h5 or npz) and name the "
    "file with --config.vgg=FILE, or choose none or random"
)


def load_vgg19(spec: str | Path) -> Params:
    """Loads VGG-19's weights.

    The names of a file's arrays tell the convention: `features.0.weight` or `0.weight` is
    torchvision's, `conv1_1.weight` Caffe's (BGR, 0 to 255), and the group `block1_conv1` Keras's.
    Keras's is Caffe's with kernels in HWIO, not OIHW. A file may stop after any convolution.

    Args:
      spec: A file; "download" for torchvision's weights, from its server or from the cache that an
        earlier run filled; or "random" for seeded He weights, whose features see structure.

    Raises:
      UserError: There are no weights, or they are not VGG-19's.
    """
    if str(spec) == "random":
        return _random()
    path = _download() if str(spec) == "download" else user_path("--config.vgg", spec)
    if not path.is_file():
        raise UserError(f"{path}: there are no VGG-19 weights here; {_HOW_TO_GET}.")
    return _convert(path, read_arrays(path, lambda key: _place(key) is not None))


def _download() -> Path:
    """Downloads torchvision's weights into `cache_folder`, unless they are there already."""
    import pooch  # here, because machines without a network may lack it

    cache = pooch.create(
        path=cache_folder(),
        base_url=_SERVER,
        registry={_FILE: f"sha256:{_SHA256}"},
    )
    try:
        return Path(cache.fetch(_FILE, progressbar=True))
    except (OSError, ValueError) as error:
        if is_disk_full(error):
            raise disk_is_full(cache.abspath) from error
        # pooch raises ValueError for a wrong hash.
        what = "is not the file it was" if isinstance(error, ValueError) else "cannot be fetched"
        raise UserError(
            f"{_SERVER}{_FILE} {what} ({type(error).__name__}, cache {cache.abspath}, which "
            f"{CACHE} can move): {_HOW_TO_GET}."
        ) from error


def _sizes() -> dict[str, tuple[int, int]]:
    """Returns input and output channels by convolution."""
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


def _place(key: str) -> tuple[str, str] | None:
    """Returns the convention and the convolution of an array by its name; None for others."""
    if found := re.fullmatch(r"(?:features\.)?(\d{1,2})\.(?:weight|bias)", key):
        return "torchvision", _torchvision_indices().get(int(found[1]), key)
    if found := re.fullmatch(r"conv(\d_\d)\.(?:weight|bias)", key):
        return "caffe", found[1]
    if found := re.match(r"(?:model_weights/)?block(\d)_conv(\d)/", key):
        return "keras", f"{found[1]}_{found[2]}"
    return None


def _convert(path: Path, arrays: dict[str, np.ndarray]) -> Params:
    found: dict[str, dict[str, np.ndarray]] = {}
    convention = ""
    for key, array in arrays.items():
        convention, name = _place(key) or ("", key)
        found.setdefault(name, {})["kernel" if array.ndim == 4 else "bias"] = array
    if "1_1" not in found:
        raise UserError(f"{path}: holds no weights of VGG-19's first convolution; {_HOW_TO_GET}.")
    names = CONVOLUTIONS[: len(found)]  # a file may stop here, which limits the layers
    if missing := [name for name in names if name not in found]:
        raise UserError(
            f"{path}: is of another network than VGG-19, convolution {missing[0]} is missing; "
            f"{_HOW_TO_GET}."
        )
    params = (
        _normalisation([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        if convention == "torchvision"
        else _normalisation([123.68 / 255, 116.779 / 255, 103.939 / 255], [0.225] * 3)
    )
    for name in names:
        params[name] = _convolution(path, name, convention, found[name])
    return jax.tree.map(jnp.asarray, params)


def _convolution(
    path: Path, name: str, convention: str, arrays: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns kernel (HWIO) and bias of a convolution, for RGB and in torchvision's scale."""
    i, o = _sizes()[name]
    shape = (3, 3, i, o) if convention == "keras" else (o, i, 3, 3)
    if {part: array.shape for part, array in arrays.items()} != {"kernel": shape, "bias": (o,)}:
        raise UserError(
            f"{path}: convolution {name} does not have VGG-19's shape {shape} with a bias "
            f"of {o}; {_HOW_TO_GET}."
        )
    with np.errstate(over="ignore"):
        kernel, bias = (arrays[part].astype(np.float32) for part in ("kernel", "bias"))
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise UserError(
            f"{path}: convolution {name} holds numbers that are not finite; {_HOW_TO_GET}."
        )
    if convention != "keras":
        kernel = kernel.transpose(2, 3, 1, 0)
    if convention != "torchvision":
        bias = bias / np.float32(_CAFFE_SCALE)
        if name == "1_1":
            kernel = kernel[:, :, ::-1]
    return {"kernel": kernel, "bias": bias}


def _torchvision_indices() -> dict[int, str]:
    """Returns the convolutions' names by their indices in torchvision's list.

    A convolution and its ReLU take two places, a pool one.
    """
    names, index = {}, 0
    for b, (n, _) in enumerate(_BLOCKS, 1):
        for c in range(1, n + 1):
            names[index] = f"{b}_{c}"
            index += 2
        index += 1
    return names


def _plan() -> list[str]:
    """Returns the names of all layers in order: relu1_1, relu1_2, pool1, relu2_1, ..."""
    plan = []
    for b, (n, _) in enumerate(_BLOCKS, 1):
        plan += [f"relu{b}_{c}" for c in range(1, n + 1)] + [f"pool{b}"]
    return plan


LAYERS = tuple(_plan())


def allowed_layers(params: Params) -> tuple[str, ...]:
    """Returns the layers that the loaded weights reach, in order."""
    allowed: list[str] = []
    for layer in _plan():
        if layer.startswith("relu") and layer.removeprefix("relu") not in params:
            break
        allowed.append(layer)
    return tuple(allowed)


def check_layers(params: Params, layers: tuple[str, ...]) -> None:
    """Raises UserError if a layer is unknown, or deeper than the weights go."""
    allowed = allowed_layers(params)
    for layer in layers:
        if layer not in allowed:
            raise UserError(
                f"VGG layer {layer!r} is not among those that the loaded weights allow: "
                f"{', '.join(allowed)}; choose from these or load weights that go deeper."
            )


def features(
    params: Params, images: Pictures, layers: tuple[str, ...], dtype: DTypeLike = jnp.float32
) -> list[Pictures]:
    """Computes features of the named layers.

    Args:
      params: Weights.
      images: RGB in [0, 1].
      layers: Names of layers; nothing beyond the deepest is computed.
      dtype: Dtype of the products.

    Returns:
      float32 features, in the order of `layers`.

    Raises:
      UserError: See `check_layers`.
    """
    check_layers(params, layers)
    plan = _plan()
    deepest = max((plan.index(layer) for layer in layers), default=-1)
    x = (images - params["mean"].reshape(1, 1, 1, 3)) / params["std"].reshape(1, 1, 1, 3)
    x = x.astype(dtype)
    found = {}
    for layer in plan[: deepest + 1]:
        if layer.startswith("pool"):
            x = max_pool(x)
        else:
            weights = params[layer.removeprefix("relu")]
            bias = weights["bias"].astype(dtype).reshape(1, 1, 1, -1)
            x = jax.nn.relu(unfused(conv3x3(x, weights["kernel"])) + bias)
        found[layer] = x
    return [found[layer].astype(jnp.float32) for layer in layers]
