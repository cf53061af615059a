"""Tensors of torch.save's files, and what else is in them stays undone."""

import io
import pickle
import tracemalloc
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import watching
from torch_writer import Record, save_legacy, save_zip

from lumiere_jax import torch_files
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.poses import torch_dump
from lumiere_jax.torch_files import open_torch
from lumiere_jax.weight_files import read_arrays


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_a_transposed_view_is_read_as_one(tmp_path, save):
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    save(tmp_path / "net.pth", [array, array.astype("<f2")])
    content, read = open_torch(tmp_path / "net.pth")
    assert content[0].stride == (1, 4)
    np.testing.assert_array_equal(read(content[1]), array)


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
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dump/data.pkl", data)
    with pytest.raises((ValueError, TypeError, EOFError, IndexError, pickle.UnpicklingError)):
        open_torch(path)
    path.write_bytes(data)
    with pytest.raises((ValueError, TypeError, EOFError, IndexError, pickle.UnpicklingError)):
        open_torch(path)


GLOBAL = b"c%s\n%s\n"
UNPACKS = GLOBAL % (b"torch._utils", b"_rebuild_parameter")
ORDERED = GLOBAL % (b"collections", b"OrderedDict")
SIZE = GLOBAL % (b"torch", b"Size")


def nested(levels, again):
    """A dictionary whose key is a tuple of twice the tuple before; `again` fetches that."""
    twice = b"".join(b"q%c" % i + again(i) + b"\x86" for i in range(levels))
    return b"\x80\x02})" + twice + b"Ns."


@pytest.mark.parametrize(
    "data",
    [
        nested(60, lambda i: b"h%c" % i),
        nested(60, lambda i: b"2"),
        b"\x80\x02}()" + b"\x85" * 10**6 + b"Ns.",  # hashed on the stack, one in the other
        b"\x80\x02)" + b"q\x00h\x00h\x00\x86" * 60 + UNPACKS + b"q\x01h\x00\x85R.",
        b"\x80\x02" + UNPACKS + b"N\x85R.",
        b"\x80\x02})K\x01s.",
        b"\x80\x02}(K\x01Nu.",
        b"\x80\x02(K\x01Nd.",
        b"\x80\x04\x8f(K\x01\x90.",
        b"\x80\x04(K\x01\x91.",
        b"\x80\x02" + ORDERED + b"]" + pickle.dumps(2**61 - 1, 2)[2:-1] + b"N\x86a\x85R.",
        b"\x80\x02" + SIZE + b"]]a\x85R.",
        b"\x80\x02" + SIZE + b")\x81.",  # as a class
        b"\x80\x04" + b"\x8e" + (2**62).to_bytes(8, "little") + b".",
        b"\x80\x04" + b"\x8d" + (2**40).to_bytes(8, "little") + b"x.",
        b"\x80\x05" + b"\x96" + (2**63 - 1).to_bytes(8, "little") + b".",
        b"\x80\x02" + b"\x8b" + (2**31 - 1).to_bytes(4, "little") + b".",
        b"I" + b"9" * 10**5 + b"\n.",
        b"\x80\x02\x82\x01.",  # a global by its number in a registry
        b"\x80\x02\x84\xff\xff\xff\x7f.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x80\x04\x8c\x05torch\x8c\x17FloatStorage.__class__\x93.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93)}\x92.",
        b"(cos\nsystem\nS'true'\no.",
        b"\x80\x02U\x07storageQ.",
        b"\x80\x02(X\x07\x00\x00\x00storageX\x03\x00\x00\x00<f4]X\x03\x00\x00\x00cpuK\x01tQ.",
    ],
)
def test_pickles_that_cost_more_than_their_length_or_reach_out_are_refused(tmp_path, data):
    """At once: none of them is a matter of hours, of gigabytes or of the processor's stack."""
    path = tmp_path / "net.pth"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"net\.pth cannot be read as weights"):
        read_arrays(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dump/data.pkl", data)
    for refused in (read_arrays, torch_dump.open_dump):
        with pytest.raises(UserError, match=r"net\.pth cannot be read"):
            refused(path)


@pytest.mark.parametrize("protocol", range(6))
def test_ordinary_things_of_every_protocol_are_read(tmp_path, protocol):
    content = {"a": [1, 2.5, (3, (4, "five"))], "b": {"c": None, "d": True}, "g": []}
    shared = ("once", 2)
    content |= {"again": [shared] * 20_000, "bytes": b"" if protocol >= 3 else 7}
    for save in (save_zip, save_legacy):
        save(tmp_path / "net.pth", content, protocol)
        assert torch_dump.open_dump(tmp_path / "net.pth")[0] == content


def test_archives_that_lie_are_refused(tmp_path):
    path, array = tmp_path / "net.pth", np.zeros(4, np.float32)
    for name in ("dump/data.pkl", "other/data.pkl", "../data.pkl"):
        save_zip(path, [array])
        with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings(action="ignore"):
            archive.writestr(name, b"N.")
        with pytest.raises(ValueError, match=r"no data\.pkl as torch\.save"):
            open_torch(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dump/data.pkl", b"N.", zipfile.ZIP_STORED)
        archive.writestr("dump/byteorder", bytes(2**28))
    tracemalloc.start()
    with pytest.raises(ValueError, match="big-endian"):
        open_torch(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_storage_in_the_next_folder_is_not_read(tmp_path):
    """The archive's names are keys; none of them is a path."""
    (tmp_path / "spoon").write_bytes(bytes(16))
    save_zip(tmp_path / "net.pth", [np.zeros(4, np.float32)])
    data = (tmp_path / "net.pth").read_bytes().replace(b"dump/data/0", b"../../spoon")
    (tmp_path / "net.pth").write_bytes(data)
    with watching.opened(tmp_path) as names:
        with pytest.raises(Exception, match=r".") as raised:
            content, read = open_torch(tmp_path / "net.pth")
            read(content[0])
    assert isinstance(raised.value, (zipfile.BadZipFile, ValueError, KeyError))
    assert names == {"net.pth"}


def test_storages_are_checked(tmp_path):
    path, array = tmp_path / "net.pth", np.zeros(4, np.float32)
    for change in ({"dump/data/0": b"\0" * 12}, {"dump/data/0": b"\0" * 20}):
        save_zip(path, [array], change=change)
        content, read = open_torch(path)
        with pytest.raises(ValueError, match="storage"):
            read(content[0])
    save_zip(path, [array], compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"archive|compressed"):
        open_torch(path)
    save_zip(path, [array], change={"dump/byteorder": b"big"})
    with pytest.raises(ValueError, match="big-endian"):
        open_torch(path)


def test_views_beyond_the_storage_are_refused():
    storage = ("0", "<f4", 6, 0)
    torch_files._tensor(storage, 0, (2, 3), (3, 1))
    for arguments in (
        (1, (2, 3), (3, 1)),
        (0, (2, 3), (4, 1)),
        (0, (7,), (0,)),
        (-1, (2,), (1,)),
        (0, (2, -3), (3, 1)),
        (0, (2, 3), (3,)),
    ):
        with pytest.raises(ValueError, match="tensor"):
            torch_files._tensor(storage, *arguments)


def test_a_part_of_a_storage_begins_where_it_says():
    """Legacy files may hold a storage as (key, first, length) of another."""
    unpickler = torch_files._Unpickler(io.BytesIO(), torch_files.no_others)
    storage = unpickler.persistent_load(("storage", "<f4", "0", "cpu", 10, ("1", 4, 6)))
    assert torch_files._tensor(storage, 1, (5,), (1,)).offset == 5
    with pytest.raises(ValueError, match="beyond"):
        torch_files._tensor(storage, 2, (5,), (1,))


def test_parameters_as_pytorch_wrote_them_until_2017(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    state = (array, None, OrderedDict(), True, False)
    saved = OrderedDict(weight=Record("torch.nn.parameter", "Parameter", state))
    save_legacy(tmp_path / "net.pth", saved, old=True)
    content, read = open_torch(tmp_path / "net.pth")
    np.testing.assert_array_equal(read(content["weight"].data), array)


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_a_state_dict_bears_metadata(tmp_path, save):
    saved = OrderedDict(weight=np.ones((2, 3), np.float32))
    saved._metadata = OrderedDict({"": {"version": 1}})
    save(tmp_path / "net.pth", saved)
    content, read = open_torch(tmp_path / "net.pth")
    assert isinstance(content, dict) and list(content) == ["weight"]
    np.testing.assert_array_equal(read(content["weight"]), saved["weight"])


def test_a_dictionary_s_keys_are_strings_and_no_number_is_hashed(tmp_path):
    """Of numbers, and of tuples of them, a file could hold half a million with the same hash."""
    for content in ({2**61 - 1: 1}, {(1, 2): 1}, {1.5: 1}, {b"a": 1}, OrderedDict([[1, 2]])):
        for save in (save_zip, save_legacy):
            save(tmp_path / "net.pth", content)
            with pytest.raises(ValueError, match="keys are no strings|of another kind"):
                open_torch(tmp_path / "net.pth")
    data = b"\x80\x02" + ORDERED + b"]K\x01K\x02\x86a\x85R."
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("dump/data.pkl", data)
    with pytest.raises(ValueError, match="of another kind"):
        open_torch(tmp_path / "net.pth")
    (tmp_path / "net.pth").unlink()
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("dump/data.pkl", data.replace(b"K\x01", b"X\x01\0\0\0a"))
    assert open_torch(tmp_path / "net.pth")[0] == {"a": 2}


def test_more_bytes_than_a_file_has_are_not_made_room_for(tmp_path):
    (tmp_path / "dump.pkl").write_bytes(b"\x80\x05\x96" + (2**62).to_bytes(8, "little") + b"few")
    with pytest.raises(ValueError, match="only 3 remain"):
        open_torch(tmp_path / "dump.pkl")
