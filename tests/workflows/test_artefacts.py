"""Artefacts: those of a step are read as they were written, and nothing else is."""

import io
import zipfile

import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.workflows.artefacts import read_artefacts, write_artefacts

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "words": np.array(["so", "thus"])}


def test_artefacts_of_the_newest_steps_come_back(tmp_path):
    for step in (1, 2, 3, 10):
        write_artefacts(tmp_path, step, {**ARRAYS, "step": step})
    assert sorted(p.name for p in (tmp_path / "artefacts").iterdir()) == [
        "10.npz",
        "2.npz",
        "3.npz",
    ]
    read = read_artefacts(tmp_path, 10)
    assert set(read) == {"a", "words", "step"} and int(read["step"]) == 10
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
    with pytest.raises(UserError, match="artefacts/1.npz is not there.*train it again"):
        read_artefacts(tmp_path, 1)


def header(text):
    data = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data


def archive(**members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)
    return data.getvalue()


HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (1125899906842624,)}"
OBJECTS = "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04" + bytes(50),
        archive(a__npy=b""),
        archive(a__npy=header(HUGE) + bytes(64)),
        archive(a__npy=header(OBJECTS) + bytes(64)),
        archive(a__npy=header("{'descr': '<f4', 'shape': (") + bytes(64)),
        archive(a__npy=header("[" * 110) + bytes(64)),
        archive(a__txt=b"no array"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, content):
    (tmp_path / "artefacts").mkdir()
    (tmp_path / "artefacts" / "3.npz").write_bytes(content)
    with pytest.raises(UserError, match="artefacts/3.npz is damaged .*train it again"):
        read_artefacts(tmp_path, 3)


def test_a_byte_that_is_wrong_is_damage_or_another_number(tmp_path):
    write_artefacts(tmp_path, 1, {"a": np.random.default_rng(0).random(400)})
    path = tmp_path / "artefacts" / "1.npz"
    whole = path.read_bytes()
    for place in range(0, len(whole), 37):
        data = bytearray(whole)
        data[place] ^= 0x5A
        path.write_bytes(data)
        try:
            read_artefacts(tmp_path, 1)
        except UserError as error:
            assert "1.npz" in str(error)
