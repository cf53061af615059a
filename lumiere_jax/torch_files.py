"""Reads files of `torch.save` without torch, and without running code from their pickles.

A pickle can call anything. This unpickler admits only what tensors need, and reads their numbers on
demand. It reads both layouts: the zip archive, and the older sequence of pickles.
"""

import io
import mmap
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
# Most parts of a tuple, with those of the tuples in it.
_LARGEST_TUPLE = 10_000
_DIMENSIONS = 64
_STRINGS = ([pickletools.pyunicode], [pickletools.pybytes_or_str])
# Which of the items that an opcode takes from the stack are hashed.
_KEYS = {"SETITEM": slice(1, 2), "SETITEMS": slice(2, None, 2), "DICT": slice(1, None, 2)}
_KEYS |= {"ADDITEMS": slice(2, None), "FROZENSET": slice(1, None)}
_STORAGES = {
    **{"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2"},
    **{"LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2"},
    **{"CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "?"},
}


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file: its storage's key, dtype and length, and its view of the storage."""

    key: str
    dtype: str
    count: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def no_others(module: str, name: str) -> Any:
    """Rejects every other global: the file may hold only tensors and containers."""
    raise ValueError(f"it wants {module}.{name}, which no tensor needs: save state_dict()")


class _Unpickler(pickle.Unpickler):
    # Everything that a pickle gets is immutable or made for this file, so that it cannot change
    # anything else in this process.
    def __init__(self, stream: Any, others: Callable[[str, str], Any]):
        super().__init__(stream)
        self.dtypes: dict[str, str] = {}
        self.others = others

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return lambda *arguments: _tensor(*arguments)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: _instance(tensor, Tensor)
        if (module, name) == ("torch.nn.parameter", "Parameter"):
            # As PyTorch wrote parameters until 2017: an object whose state begins with the tensor.
            return type(name, (), {"__setstate__": _set_data})
        if (module, name) == ("collections", "OrderedDict"):
            # A state_dict() carries its metadata as an attribute.
            return type(name, (dict,), {"__init__": _set_items})
        if (module, name) == ("torch", "Size"):
            return lambda sizes=(): tuple(_instance(size, int) for size in sizes)
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        return self.others(module, name)

    def persistent_load(self, pid: Any) -> tuple[str, str, int, int]:
        kind, dtype, key, _, count, *view = pid
        if kind != "storage" or dtype not in _STORAGES.values():
            raise ValueError("a tensor's storage is of an unknown kind")
        key = str(_instance(key, str | int))
        self.dtypes[key] = dtype
        first = view[0][1] if view and view[0] else 0  # a storage may be a part of another
        return key, dtype, _instance(count, int), _instance(first, int)


def _instance(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError("a part of a tensor is of another kind")
    return value


def _set_items(items: dict, pairs: Any = ()) -> None:
    pairs = list(pairs.items() if isinstance(pairs, dict) else pairs)
    dict.__init__(items, [(_instance(key, str), value) for key, value in pairs])


def _set_data(parameter: Any, state: tuple) -> None:
    parameter.data = state[0]


def _tensor(storage, offset, shape, stride, *_) -> Tensor:
    key, dtype, count, first = storage
    numbers = [first, offset, *shape, *stride]
    known = all(type(n) is int and 0 <= n < 2**63 for n in numbers)
    if not known or len(shape) != len(stride) or len(shape) > _DIMENSIONS:
        raise ValueError("a tensor's shape is wrong")
    last = first + offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    size = int(np.prod(shape, dtype=object)) if shape else 1
    if size and (last >= count or size > count):
        raise ValueError("a tensor reaches beyond its storage")
    return Tensor(key, dtype, count, first + offset, tuple(shape), tuple(stride))


def _load(stream: Any, others: Callable = no_others) -> tuple[Any, dict[str, str]]:
    """Loads one pickle, and returns its content and its storages' dtypes by key."""
    start = stream.tell()
    _check_pickle(stream, start)
    stream.seek(start)
    unpickler = _Unpickler(stream, others)
    return unpickler.load(), unpickler.dtypes


def _check_pickle(stream: Any, start: int) -> None:
    """Raises ValueError for a pickle that costs more than its length to load.

    The unpickler reserves memory up to the highest number in the memo. A tuple of twice the same
    tuple, nested forty times, takes hours to compare, or exhausts the stack. Only strings may be
    keys: anyone can make as many other objects as they like with the same hash.
    """
    stack: list[int | None] = []  # parts of each item: 0 for a string, None for a mark
    memo: dict[int, int | None] = {}
    for code, argument, position in pickletools.genops(stream):
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            place = len(memo) if argument is None else int(argument)
            if not 0 <= place <= (position or 0) - start:
                raise ValueError("its memo is out of range")
            memo[place] = stack[-1]
        elif code.name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(argument)])  # pyright: ignore[reportArgumentType]
        elif code.name in ("MARK", "DUP"):
            stack.append(None if code.name == "MARK" else stack[-1])
        else:
            first = len(stack) - len(code.stack_before)
            if pickletools.markobject in code.stack_before:
                mark = len(stack) - 1 - stack[::-1].index(None)
                first = mark - code.stack_before.index(pickletools.markobject)
            if first < 0:
                raise ValueError("its stack is empty")
            taken = stack[first:]
            del stack[first:]
            if code.name in _KEYS and any(taken[_KEYS[code.name]]):
                raise ValueError("it holds a set, or a dictionary whose keys are no strings")
            parts = 1 + sum(filter(None, taken)) if pickletools.pytuple in code.stack_after else 1
            if parts > _LARGEST_TUPLE:
                raise ValueError("it holds a tuple of too many parts")
            stack += [0 if code.stack_after in _STRINGS else parts] * len(code.stack_after)


def _read(path: Path, places: dict[str, tuple[int, int]], tensor: Tensor) -> np.ndarray:
    """Reads a tensor's numbers; `places` has each storage's offset and length in bytes."""
    start, length = places[tensor.key]
    dtype = np.dtype(tensor.dtype)
    if length != tensor.count * dtype.itemsize:
        raise ValueError("a storage has another length than its tensor says")
    if start + length > path.stat().st_size:
        raise ValueError("a storage is cut off")
    flat = np.fromfile(path, dtype, tensor.count, offset=start)
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


def _open_zip(file: io.BufferedIOBase, others: Callable) -> tuple[Any, dict]:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1 or archive.getinfo(pickles[0]).compress_type != zipfile.ZIP_STORED:
            raise ValueError("its archive holds no data.pkl as torch.save writes it")
        folder = pickles[0].rpartition("/")[0]
        order = f"{folder}/byteorder"
        if order in archive.namelist() and archive.open(order).read(len("little")) != b"little":
            raise ValueError("its numbers are big-endian")
        places = _zip_places(file, archive, folder)
        return _load(io.BytesIO(archive.read(pickles[0])), others)[0], places


def _open_legacy(file: mmap.mmap, others: Callable) -> tuple[Any, dict]:
    if _load(file, others)[0] != _MAGIC:
        raise ValueError("it is a pickle, but not one of torch.save")
    for _ in ("protocol version", "sizes of the machine's integers"):
        _load(file)
    (content, dtypes), (keys, _), places = _load(file, others), _load(file), {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        length = count * np.dtype(dtypes[key]).itemsize
        if count < 0 or file.tell() + length > len(file):
            raise ValueError("a storage is cut off")
        places[key] = (file.tell(), length)
        file.seek(length, 1)
    return content, places


def open_torch(
    path: Path, others: Callable[[str, str], Any] = no_others
) -> tuple[Any, Callable[[Tensor], np.ndarray]]:
    """Opens a file of `torch.save`.

    Args:
      path: The file.
      others: `others(module, name)` returns a global that is neither tensor nor container, or
        raises.

    Returns:
      The saved object, with a `Tensor` in place of each tensor, and the function that reads one.

    Raises:
      Exception: Of any kind; torch.save did not write the file, or it wants more than is admitted.
    """
    with open(path, "rb") as file:
        whole = zipfile.is_zipfile(file)
        # From a file object, Python would allocate as many bytes as a pickle promises.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            content, places = _open_zip(file, others) if whole else _open_legacy(data, others)
    return content, lambda tensor: _read(path, places, tensor)
