"""Reads named arrays from weight files of any origin.

A file's claims are checked before they are used. Nothing is executed. Arrays that are not numbers,
or larger than any weights here, are refused.
"""

import io
import math
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import safetensors

from lumiere_jax.errors import UserError
from lumiere_jax.torch_files import Tensor, open_torch

_LARGEST = 2**28
"""Most bytes of all wanted arrays together; VGG-19's convolutions have 80 MB, 160 in float64."""
_LARGEST_PIECE = 2**26
_LONGEST_HEADER = 10_000

Reader = Iterator[tuple[str, tuple[int, ...], np.dtype, Callable[[], np.ndarray]]]
"""Name, shape, dtype, and a function that reads the numbers until the iterator moves on."""


def _npz(path: Path, wanted: Callable[[str], bool]) -> Reader:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            key = member.filename.removesuffix(".npy")
            if key == member.filename or not wanted(key):
                continue
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{key} is packed as NumPy packs nothing")
            with archive.open(member) as stream:
                shape, fortran, dtype = _header(stream)
                yield key, shape, dtype, partial(_member, stream, shape, dtype, fortran)


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Reads an npy header after checking its length, which NumPy would trust."""
    major, _ = np.lib.format.read_magic(stream)
    length = stream.read({1: 2, 2: 4}[major])
    if (size := int.from_bytes(length, "little")) > _LONGEST_HEADER:
        raise ValueError(f"the header of an array has {size} bytes")
    content = io.BytesIO(length + stream.read(size))
    read = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
    return read[major - 1](content)


def _member(stream: Any, shape: tuple[int, ...], dtype: np.dtype, fortran: bool):
    data = stream.read(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _torch(path: Path, wanted: Callable[[str], bool]) -> Reader:
    content, read = open_torch(path)
    if not isinstance(content, dict):
        raise ValueError("it holds no dictionary of tensors, save the network's state_dict()")
    for key, value in content.items():
        tensor = value if isinstance(value, Tensor) else getattr(value, "data", None)
        if isinstance(key, str) and isinstance(tensor, Tensor) and wanted(key):
            yield key, tensor.shape, np.dtype(tensor.dtype), partial(read, tensor)


def _hdf5(path: Path, wanted: Callable[[str], bool]) -> Reader:
    with h5py.File(path) as file:
        names: list[str] = []
        file.visit(names.append)  # follows no link out of the file
        for name in filter(wanted, names):
            if not isinstance(node := file[name], h5py.Dataset):
                continue
            if node.external or node.is_virtual:
                raise ValueError(f"{name} lies in another file")
            if math.prod(node.chunks or ()) * node.dtype.itemsize > _LARGEST_PIECE:
                raise ValueError(f"{name} has pieces larger than any weights")
            yield name, node.shape, node.dtype, partial(node.__getitem__, ())


def _safetensors(path: Path, wanted: Callable[[str], bool]) -> Reader:
    with safetensors.safe_open(path, framework="np") as file:
        for key in filter(wanted, file.keys()):
            array = file.get_tensor(key)  # the library has checked the file's length
            yield key, array.shape, array.dtype, array.copy


def _reader(path: Path) -> Callable[[Path, Callable[[str], bool]], Reader]:
    """Chooses the reader by a file's first bytes, because names do not tell."""
    with open(path, "rb") as file:
        start = file.read(9)
    if start.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            return _torch if any(n.endswith("/data.pkl") for n in archive.namelist()) else _npz
    if start.startswith(b"\x80"):
        return _torch
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return _hdf5
    if start[8:] == b"{":
        return _safetensors
    raise ValueError("it is none of these")


def read_arrays(
    path: Path, wanted: Callable[[str], bool] = lambda _: True
) -> dict[str, np.ndarray]:
    """Reads the wanted arrays of an npz, torch.save, HDF5 or safetensors file.

    Args:
      path: The file.
      wanted: Whether to read the array of a name.

    Returns:
      Arrays by the file's own names; in HDF5 the path, as in `block1_conv1/block1_conv1/kernel:0`.

    Raises:
      UserError: The file cannot be read as weights.
    """
    arrays, total = {}, 0
    try:
        for key, shape, dtype, read in _reader(path)(path, wanted):
            if dtype.kind not in "fiub" or any(n < 0 for n in shape):
                raise ValueError(f"{key} is no array of numbers ({dtype}, {shape})")
            total += math.prod(shape) * dtype.itemsize
            if total > _LARGEST:
                raise ValueError(f"{key} {shape} is larger than any weights")
            arrays[key] = read()
    except Exception as error:  # the libraries raise anything for a broken file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path} cannot be read as weights (npz, pth, h5 or safetensors): {reason}; "
            "fetch or write it anew."
        ) from error
    return arrays
