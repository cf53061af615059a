"""Writes what `torch.save` writes, in both its layouts: torch is no dependency."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np

KINDS = {"<f4": "FloatStorage", "<i8": "LongStorage", "|u1": "ByteStorage", "<f2": "HalfStorage"}


class Global:
    """Pickled as the name of something that need not exist."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Pickled as `function(*arguments)`, with a state if there is one."""

    def __init__(self, function, arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


class Record:
    """Pickled as an object of the class, with a state."""

    def __init__(self, module, name, state):
        self.kind, self.state = Global(module, name), state


class Pickler(pickle._Pickler):
    """Writes arrays as torch's tensors and collects their storages; `old` as in early 2017."""

    def __init__(self, file, protocol=2, legacy=False, old=False):
        super().__init__(file, protocol)
        self.storages, self.legacy, self.old = [], legacy, old

    def persistent_id(self, thing):
        if isinstance(thing, Storage):
            key = str(len(self.storages))
            self.storages.append((key, thing.array))
            kind = Global("torch", KINDS[thing.array.dtype.str])
            view = (None,) if self.legacy else ()
            return ("storage", kind, key, "cpu", thing.array.size, *view)
        return None

    def save(self, thing, save_persistent_id=True):
        if isinstance(thing, Global):
            return self.write(f"c{thing.module}\n{thing.name}\n".encode())
        if isinstance(thing, np.ndarray):
            strides = tuple(step // thing.itemsize for step in thing.strides)
            arguments = (Storage(thing), 0, thing.shape, strides)
            if self.old:
                return self.save_call(Global("torch._utils", "_rebuild_tensor"), arguments)
            arguments = (*arguments, False, OrderedDict())
            return self.save_call(Global("torch._utils", "_rebuild_tensor_v2"), arguments)
        if isinstance(thing, Record):
            self.save(thing.kind)
            self.save(())
            self.write(pickle.NEWOBJ)
            self.save(thing.state)
            return self.write(pickle.BUILD)
        return super().save(thing, save_persistent_id)

    def save_call(self, function, arguments):
        self.save(function)
        self.save(arguments)
        self.write(pickle.REDUCE)


class Storage:
    def __init__(self, array):
        self.array = array


def save_zip(path, content, protocol=2, change=None, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    pickler = Pickler(stream, protocol)
    pickler.dump(content)
    files = {"dump/data.pkl": stream.getvalue(), "dump/byteorder": b"little"}
    files |= {f"dump/data/{key}": array.tobytes("A") for key, array in pickler.storages}
    files["dump/version"] = b"3\n"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in (files | (change or {})).items():
            archive.writestr(name, data)


def save_legacy(path, content, protocol=2, old=False):
    with open(path, "wb") as file:
        for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(header, file, protocol=2)
        pickler = Pickler(file, protocol, legacy=True, old=old)
        pickler.dump(content)
        pickle.dump([key for key, _ in pickler.storages], file, protocol=2)
        for _, array in pickler.storages:
            file.write(struct.pack("<q", array.size) + array.tobytes("A"))
