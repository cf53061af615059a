"""Files of `torch.save` as DensePose's `apply_net.py dump` writes them, without torch.

A dump is a pickle, and a pickle can call anything. This unpickler admits only what such a file
needs: tensors, which stay unread until they are wanted, and the results' classes, which become
empty records. Both layouts are read: the zip archive, and the older sequence of pickles.
"""

import io
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lumiere_jax.errors import UserError

_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    **{"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2"},
    **{"LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2"},
    **{"CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "?"},
}
_RESULTS = {
    ("densepose.structures.chart_result", "DensePoseChartResult"),
    ("densepose.structures.chart_result", "DensePoseChartResultWithConfidences"),
    ("densepose.structures.chart_result", "DensePoseChartResultQuantized"),
    ("densepose.structures.chart_result", "DensePoseChartResultCompressed"),
    ("densepose.structures", "DensePoseResult"),
    ("densepose.data.structures", "DensePoseResult"),
}


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file: the storage's key, type and length, and the view of it."""

    key: str
    dtype: str
    count: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    # Everything handed out is immutable or made for this file, so that a file cannot leave
    # anything behind in this process.
    def __init__(self, stream: io.BufferedIOBase):
        super().__init__(stream)
        self.dtypes: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *arguments: _tensor(*arguments)
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if (module, name) == ("torch", "Size"):
            return tuple
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) in _RESULTS:
            return type(name, (), {})
        if "cse" in module.split(".") or "Embedding" in name:
            raise ValueError("it comes from a CSE model, which has no IUV: use a chart-based one")
        raise ValueError(f"it wants {module}.{name}, which no DensePose dump needs")

    def persistent_load(self, pid: Any) -> tuple[str, str, int]:
        kind, dtype, key, _, count = pid[:5]
        if kind != "storage" or dtype not in _STORAGES.values() or not isinstance(count, int):
            raise ValueError("a tensor's storage is of an unknown kind")
        self.dtypes[str(key)] = dtype
        return str(key), dtype, count


def _tensor(storage, offset, shape, stride, *_) -> Tensor:
    key, dtype, count = storage
    numbers = [offset, *shape, *stride]
    if len(shape) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError("a tensor's shape is wrong")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    size = int(np.prod(shape, dtype=object)) if shape else 1
    if size and (last >= count or size > count):
        raise ValueError("a tensor reaches beyond its storage")
    return Tensor(key, dtype, count, offset, tuple(shape), tuple(stride))


def _load(stream: Any) -> tuple[Any, dict[str, str]]:
    """One pickle, and the types of its storages. The unpickler reserves memory up to the highest
    number in the memo, so that is looked at first."""
    start = stream.tell()
    for code, argument, position in pickletools.genops(stream):
        named = argument if code.name in ("PUT", "LONG_BINPUT") else 0
        if isinstance(named, int) and named > (position or 0) - start:
            raise ValueError("its memo is out of range")
    stream.seek(start)
    unpickler = _Unpickler(stream)
    return unpickler.load(), unpickler.dtypes


def _read(path: Path, places: dict[str, tuple[int, int]], tensor: Tensor) -> np.ndarray:
    """The tensor's numbers; places holds each storage's offset and length in bytes."""
    start, length = places[tensor.key]
    dtype = np.dtype(tensor.dtype)
    if length != tensor.count * dtype.itemsize:
        raise ValueError("a storage has another length than its tensor says")
    flat = np.fromfile(path, dtype, tensor.count, offset=start)
    if len(flat) < tensor.count:
        raise ValueError("a storage is cut off")
    strides = [step * dtype.itemsize for step in tensor.stride]
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides)
    return view.copy()


def _zip_places(file: io.BufferedIOBase, archive: zipfile.ZipFile, folder: str) -> dict:
    places = {}
    prefix = f"{folder}/data/"
    for info in archive.infolist():
        if info.filename.startswith(prefix):
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its storages are compressed")
            file.seek(info.header_offset)
            header = file.read(30)
            if header[:4] != b"PK\x03\x04":
                raise ValueError("its archive is damaged")
            name, extra = struct.unpack("<HH", header[26:30])
            start = info.header_offset + 30 + name + extra
            places[info.filename[len(prefix) :]] = (start, info.file_size)
    return places


def _open_zip(file: io.BufferedIOBase) -> tuple[Any, dict]:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1 or archive.getinfo(pickles[0]).compress_type != zipfile.ZIP_STORED:
            raise ValueError("its archive holds no data.pkl as torch.save writes it")
        folder = pickles[0].rpartition("/")[0]
        order = f"{folder}/byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian")
        places = _zip_places(file, archive, folder)
        return _load(io.BytesIO(archive.read(pickles[0])))[0], places


def _open_legacy(file: io.BufferedIOBase, size: int) -> tuple[Any, dict]:
    if _load(file)[0] != _MAGIC:
        raise ValueError("it is a pickle, but not one of torch.save")
    for _ in ("protocol version", "sizes of the machine's integers"):
        _load(file)
    (content, dtypes), (keys, _), places = _load(file), _load(file), {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        length = count * np.dtype(dtypes[key]).itemsize
        if count < 0 or file.tell() + length > size:
            raise ValueError("a storage is cut off")
        places[key] = (file.tell(), length)
        file.seek(length, 1)
    return content, places


def open_dump(path: Path) -> tuple[Any, Callable[[Tensor], np.ndarray]]:
    """What was saved, with `Tensor` in place of each tensor, and the function that reads one.

    Raises UserError for a file that torch.save did not write or that wants more than a dump needs.
    """
    try:
        with open(path, "rb") as file:
            whole = zipfile.is_zipfile(file)
            file.seek(0)
            size = path.stat().st_size
            content, places = _open_zip(file) if whole else _open_legacy(file, size)
    except Exception as error:
        raise _refusal(path, error) from error

    def read(tensor: Tensor) -> np.ndarray:
        try:
            return _read(path, places, tensor)
        except Exception as error:
            raise _refusal(path, error) from error

    return content, read


def _refusal(path: Path, error: Exception) -> UserError:
    reason = str(error) or type(error).__name__
    return UserError(
        f"{path} cannot be read as a DensePose dump: {reason}; "
        "write it with detectron2's apply_net.py dump."
    )
