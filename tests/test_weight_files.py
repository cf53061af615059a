"""The same arrays from every format, and one sentence for what is no such file."""

import contextlib
import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict

import h5py
import numpy as np
import pytest
import safetensors.numpy
import watching
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_writer import Call, save_legacy, save_zip

from lumiere_jax.errors import UserError
from lumiere_jax.weight_files import read_arrays


def save_npz(path, arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def save_compressed(path, arrays):
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def save_hdf5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def save_safetensors(path, arrays):
    safetensors.numpy.save_file(arrays, path)


WRITERS = [save_npz, save_compressed, save_zip, save_legacy, save_hdf5, save_safetensors]


def arrays():
    generator = np.random.default_rng(0)
    return OrderedDict(
        {
            "conv.weight": generator.normal(size=(4, 3, 3, 3)).astype(np.float32),
            "conv.bias": generator.normal(size=4).astype(np.float16),
            "count": np.arange(3),
        }
    )


@pytest.mark.parametrize("save", WRITERS)
def test_what_was_saved_is_read_whatever_the_files_name(tmp_path, save):
    save(tmp_path / "weights", arrays())
    found = read_arrays(tmp_path / "weights")
    assert found.keys() == arrays().keys()
    for key, array in arrays().items():
        np.testing.assert_array_equal(found[key], array)
        assert found[key].dtype == array.dtype


@pytest.mark.parametrize("save", WRITERS)
def test_only_what_is_wanted_is_read(tmp_path, save, monkeypatch):
    monkeypatch.setattr("lumiere_jax.weight_files._LARGEST", 8)  # the bias has 8 bytes
    save(tmp_path / "weights", arrays())
    assert list(read_arrays(tmp_path / "weights", lambda key: key == "conv.bias")) == ["conv.bias"]
    with pytest.raises(UserError, match=r"conv\.weight \(4, 3, 3, 3\) is larger than any weights"):
        read_arrays(tmp_path / "weights", lambda key: key.startswith("conv"))


@pytest.mark.parametrize("save", WRITERS)
def test_a_file_that_is_cut_off_or_damaged_is_refused(tmp_path, save):
    path = tmp_path / "weights"
    save(path, arrays())
    whole = path.read_bytes()
    for length in (0, 1, 5, 9, 60, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:length])
        with pytest.raises(
            UserError, match=r"weights cannot be read .*; fetch or write it anew\.$"
        ):
            read_arrays(path)


def test_what_is_no_weights_is_refused(tmp_path):
    path = tmp_path / "weights"
    for content in (b"<!DOCTYPE html><html>", b"version https://git-lfs.github.com/spec/v1"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="it is none of these"):
            read_arrays(path)


@pytest.mark.parametrize("save", [save_zip, save_legacy, save_npz])
def test_nothing_is_executed(tmp_path, save):
    trace, path = tmp_path / "trace", tmp_path / "weights"
    harm = Call(os.mkdir, (str(trace),))
    if save is save_npz:
        harm = np.array([harm], object)
    save(path, OrderedDict(weight=harm))
    with pytest.raises(UserError, match=r"which no tensor needs|no array of numbers \(object"):
        read_arrays(path)
    path.write_bytes(pickle.dumps(Call(os.mkdir, (str(trace),))))
    with pytest.raises(UserError, match="which no tensor needs"):
        read_arrays(path)
    assert not trace.exists()


def npy(descr, shape):
    stream = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + bytes(64)


@pytest.mark.parametrize(
    "descr, shape, message",
    [
        ("<f4", (2**40,), "larger than any weights"),
        ("<f4", (-1,), "no array of numbers"),
        ("<U8", (2,), "no array of numbers"),
        ("|O", (1,), "no array of numbers"),
        ("<f4", (9, 9), "cannot reshape"),
    ],
)
def test_what_an_npz_claims_is_checked(tmp_path, descr, shape, message):
    with zipfile.ZipFile(tmp_path / "weights.npz", "w") as archive:
        archive.writestr("weight.npy", npy(descr, shape))
    with pytest.raises(UserError, match=f"weights.npz .*{message}"):
        read_arrays(tmp_path / "weights.npz")


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    bomb = npy("<f4", (2**29,))
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weight.npy", bomb)
    content = bytearray((tmp_path / "bomb.npz").read_bytes())
    place = content.rindex(struct.pack("<I", len(bomb)))
    content[place : place + 4] = struct.pack("<I", 2**31)
    (tmp_path / "bomb.npz").write_bytes(content)
    with pytest.raises(UserError, match="larger than any weights"):
        read_arrays(tmp_path / "bomb.npz")


def test_what_hdf5_claims_is_checked(tmp_path):
    path = tmp_path / "weights.h5"

    def refused(write, message):
        with h5py.File(path, "w") as file:
            write(file)
        with pytest.raises(UserError, match=message):
            read_arrays(path)

    refused(  # nothing of it is stored
        lambda file: file.create_dataset("a", (2**20, 2**20), "f4", chunks=(8, 8)),
        "larger than any weights",
    )
    (tmp_path / "secret").write_bytes(bytes(16))
    refused(
        lambda file: file.create_dataset("a", 4, "f4", external=[(tmp_path / "secret", 0, 16)]),
        "a lies in another file",
    )
    refused(lambda file: file.create_dataset("a", data=["text"]), "no array of numbers")
    refused(lambda file: file.create_dataset("a", dtype=[("x", "f4")], shape=2), "no array of num")


def test_links_out_of_an_hdf5_file_are_not_followed(tmp_path):
    save_hdf5(tmp_path / "other.h5", {"a": np.ones(3)})
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["b"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "a")
    assert read_arrays(tmp_path / "weights.h5") == {}


def test_what_safetensors_claims_is_checked(tmp_path):
    for shape, end in (([2**40], 2**42), ([4], 8), ([2], 64)):
        header = f'{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}'.encode()
        content = struct.pack("<Q", len(header)) + header + bytes(8)
        (tmp_path / "weights").write_bytes(content)
        with pytest.raises(UserError, match="weights cannot be read"):
            read_arrays(tmp_path / "weights")


def test_a_dump_that_is_no_dictionary_is_refused(tmp_path):
    save_zip(tmp_path / "net.pth", [np.zeros(3, np.float32)])
    with pytest.raises(UserError, match=r"no dictionary of tensors, save .*state_dict"):
        read_arrays(tmp_path / "net.pth")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_numpy_never_packs_is_not_unpacked(tmp_path, compression):
    """Python unpacks these by the block, whatever it is asked for."""
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", compression) as archive:
        archive.writestr("weight.npy", npy("<f4", (4,)) + bytes(2**28))
    with pytest.raises(UserError, match="weight is packed as NumPy packs nothing"):
        read_arrays(tmp_path / "bomb.npz")


def test_a_piece_of_hdf5_larger_than_its_array_is_not_unpacked(tmp_path):
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_dataset("a", (4,), "f4", chunks=(2**29,), maxshape=(None,), compression=9)
    with pytest.raises(UserError, match="a has pieces larger than any weights"):
        read_arrays(tmp_path / "weights.h5")


def test_no_other_file_is_opened(tmp_path):
    """Not even looked at: whatever links, external storage and views of HDF5 name."""
    (tmp_path / "secret").write_bytes(bytes(16))
    save_hdf5(tmp_path / "other.h5", {"a": np.ones(4)})
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "a", (4,))
    for name, change in {
        "external": lambda file: file.create_dataset(
            "a", 4, "f4", external=[(tmp_path / "secret", 0, 16)]
        ),
        "virtual": lambda file: file.create_virtual_dataset("a", layout),
        "link": lambda file: file.update(a=h5py.ExternalLink("other.h5", "a")),
        "soft": lambda file: file.update(a=h5py.SoftLink("/../other.h5/a")),
    }.items():
        with h5py.File(tmp_path / name, "w") as file:
            change(file)
        with watching.opened(tmp_path) as names, contextlib.suppress(UserError):
            assert read_arrays(tmp_path / name) == {}
        assert names == {name}


CUT = st.floats(0, 1)


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(save=st.sampled_from(WRITERS), cut=CUT, place=CUT, value=st.binary(max_size=12))
def test_damage_gives_arrays_or_one_error(tmp_path_factory, save, cut, place, value):
    path = tmp_path_factory.mktemp("damaged") / "weights"
    save(path, arrays())
    data = path.read_bytes()
    at = int(place * len(data))
    path.write_bytes((data[:at] + value + data[at + len(value) :])[: int(cut * 2 * len(data))])
    with contextlib.suppress(UserError):
        for array in read_arrays(path).values():
            assert array.dtype.kind in "fiub" and array.nbytes <= 2**20


def test_a_header_of_spaces_is_not_unpacked(tmp_path):
    start = b"\x93NUMPY\x02\0" + struct.pack("<I", 2**26)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weight.npy", start + b" " * 2**26)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"the header of an array has 67108864 bytes"):
        read_arrays(tmp_path / "bomb.npz")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_pieces_of_hdf5_are_no_larger_than_a_convolution_s(tmp_path):
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_dataset("a", (2**24 + 1,), "f4", chunks=(2**24 + 1,), compression=9)
    with pytest.raises(UserError, match="a has pieces larger than any weights"):
        read_arrays(tmp_path / "weights.h5")
