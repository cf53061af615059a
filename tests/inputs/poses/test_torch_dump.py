"""torch is no dependency: the files are put together here as torch.save writes them."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.poses import torch_dump

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


def result(name="DensePoseChartResultWithConfidences", module=None, **fields):
    fields.setdefault("sigma_1", None)
    return "result", Global(module or "densepose.structures.chart_result", name), fields


class Pickler(pickle._Pickler):
    """Writes arrays as torch's tensors and collects their storages."""

    def __init__(self, file, protocol=2, legacy=False):
        super().__init__(file, protocol)
        self.storages, self.legacy = [], legacy

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
            arguments = (Storage(thing), 0, thing.shape, strides, False, OrderedDict())
            return self.save_call(Global("torch._utils", "_rebuild_tensor_v2"), arguments)
        if isinstance(thing, tuple) and thing and thing[0] == "result":
            self.save(thing[1])
            self.save(())
            self.write(pickle.NEWOBJ)
            self.save(thing[2])
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


def save_legacy(path, content, protocol=2):
    with open(path, "wb") as file:
        for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(header, file, protocol=2)
        pickler = Pickler(file, protocol, legacy=True)
        pickler.dump(content)
        pickle.dump([key for key, _ in pickler.storages], file, protocol=2)
        for _, array in pickler.storages:
            file.write(struct.pack("<q", array.size) + array.tobytes())


def entries():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 25, (7, 5))
    uv = generator.random((2, 7, 5), np.float32)
    return [
        {
            "file_name": "frames/0001.png",
            "scores": np.array([0.9], np.float32),
            "pred_boxes_XYXY": np.array([[3.7, 2.2, 8.9, 9.4]], np.float32),
            "pred_densepose": [result(labels=labels, uv=uv)],
        }
    ]


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_what_was_saved_is_read(tmp_path, save):
    saved = entries()
    save(tmp_path / "dump.pkl", saved)
    (entry,), read = torch_dump.open_dump(tmp_path / "dump.pkl")
    assert entry["file_name"] == "frames/0001.png"
    np.testing.assert_array_equal(read(entry["pred_boxes_XYXY"]), saved[0]["pred_boxes_XYXY"])
    fields = vars(entry["pred_densepose"][0])
    for name in ("labels", "uv"):
        wanted = saved[0]["pred_densepose"][0][2][name]
        np.testing.assert_array_equal(read(fields[name]), wanted)
        assert read(fields[name]).dtype == wanted.dtype


def test_a_transposed_view_is_read_as_one(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    save_zip(tmp_path / "dump.pkl", [array, array.astype("<f2")])
    content, read = torch_dump.open_dump(tmp_path / "dump.pkl")
    assert content[0].stride == (1, 4)
    np.testing.assert_array_equal(read(content[1]), array)


def harm(trace):
    return [
        Call(os.system, (f"touch {trace}",)),
        Call(eval, (f"open({str(trace)!r}, 'w')",)),
        Call(os.mkdir, (str(trace),)),
        [{"file_name": Call(os.system, (f"touch {trace}",))}],
    ]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("save", ["zip", "legacy", "plain"])
def test_a_hostile_pickle_does_nothing_and_is_refused(tmp_path, protocol, which, save):
    trace, path = tmp_path / "trace", tmp_path / "dump.pkl"
    content = harm(trace)[which]
    if save == "plain":
        path.write_bytes(pickle.dumps(content, protocol))
    elif save == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("dump/data.pkl", pickle.dumps(content, protocol))
    else:
        with open(path, "wb") as file:
            for part in (0x1950A86A20F9469CFC6C, 1001, {}):
                pickle.dump(part, file, protocol=2)
            pickle.dump(content, file, protocol=protocol)
    with pytest.raises(UserError, match=r"dump\.pkl.*no DensePose dump needs.*apply_net"):
        torch_dump.open_dump(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cbuiltins\ngetattr\n.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x01K\x01K\x01tR.",
        b"\x80\x02]r\xff\xff\xff\x7f.",  # would reserve memory for two thousand million memos
        b"\x80\x02]q\x00(h\x00",
        b"",
        b"\x80",
        b"ctorch\nload\n.",
        b"\x80\x02cdensepose.structures.cse\nDensePoseEmbeddingPredictorOutput\n.",
    ],
)
def test_garbled_pickles_are_refused(tmp_path, data):
    path = tmp_path / "dump.pkl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dump/data.pkl", data)
    with pytest.raises(UserError, match=r"dump\.pkl"):
        torch_dump.open_dump(path)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"dump\.pkl"):
        torch_dump.open_dump(path)


def test_a_class_of_cse_models_is_named(tmp_path):
    name = ("DensePoseEmbeddingPredictorOutput", "densepose.structures.cse")
    save_zip(tmp_path / "dump.pkl", [result(*name)])
    with pytest.raises(UserError, match="CSE"):
        torch_dump.open_dump(tmp_path / "dump.pkl")


def test_storages_are_checked(tmp_path):
    path, array = tmp_path / "dump.pkl", np.zeros(4, np.float32)
    for change in ({"dump/data/0": b"\0" * 12}, {"dump/data/0": b"\0" * 20}):
        save_zip(path, [array], change=change)
        content, read = torch_dump.open_dump(path)
        with pytest.raises(UserError, match="storage"):
            read(content[0])
    save_zip(path, [array], compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match=r"archive|compressed"):
        torch_dump.open_dump(path)
    save_zip(path, [array], change={"dump/byteorder": b"big"})
    with pytest.raises(UserError, match="big-endian"):
        torch_dump.open_dump(path)


def test_views_beyond_the_storage_are_refused():
    storage = ("0", "<f4", 6)
    torch_dump._tensor(storage, 0, (2, 3), (3, 1))
    for arguments in (
        (1, (2, 3), (3, 1)),
        (0, (2, 3), (4, 1)),
        (0, (7,), (0,)),
        (-1, (2,), (1,)),
        (0, (2, -3), (3, 1)),
        (0, (2, 3), (3,)),
    ):
        with pytest.raises(ValueError, match="tensor"):
            torch_dump._tensor(storage, *arguments)


def test_a_file_leaves_nothing_behind(tmp_path):
    """A state set on a class or a function that the file was given must not outlast it."""
    for target in (
        b"cdensepose.structures.chart_result\nDensePoseChartResult\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
    ):
        data = b"\x80\x02" + target + b"N}X\x06\x00\x00\x00poisonX\x03\x00\x00\x00yess\x86b."
        with zipfile.ZipFile(tmp_path / "dump.pkl", "w") as archive:
            archive.writestr("dump/data.pkl", data)
        torch_dump.open_dump(tmp_path / "dump.pkl")
        save_zip(tmp_path / "next.pkl", entries())
        content, _ = torch_dump.open_dump(tmp_path / "next.pkl")
        assert not hasattr(content[0]["pred_densepose"][0], "poison")
        assert not hasattr(torch_dump._tensor, "poison")
