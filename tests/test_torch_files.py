"""Tensors of torch.save's files, and what else is in them stays undone."""

import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_writer import Record, save_legacy, save_zip

from lumiere_jax import torch_files
from lumiere_jax.torch_files import open_torch


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
