"""Files that are whole or not there; JSON from anyone: what it says, or one error."""

import contextlib
import json
import os
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumiere_jax.files import LARGEST, put_in_place, read_json, write_whole

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_all_of_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    made, place, flushed, flush = tmp_path / "made", tmp_path / "place", [], os.fsync
    (made / "deep").mkdir(parents=True)
    for name in ("one", "deep/two"):
        (made / name).write_text(name)

    def note(handle):
        flushed.append((os.fstat(handle).st_ino, place.exists()))
        flush(handle)

    monkeypatch.setattr(os, "fsync", note)
    put_in_place(made, place)
    before = {number for number, placed in flushed if not placed}
    assert before == {path.stat().st_ino for path in (place, *place.rglob("*"))}
    assert flushed[-1] == (tmp_path.stat().st_ino, True), "the name itself comes last"
    write_whole(tmp_path / "file", "all")
    assert flushed[-2:] == [
        ((tmp_path / "file").stat().st_ino, True),
        (tmp_path.stat().st_ino, True),
    ]


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(value=VALUES)
def test_what_was_written_is_read(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "file.json"
    path.write_text(json.dumps(value))
    assert read_json(path) == value


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(data=st.binary() | st.text("[]{}:,\"'0123456789.eE+-truefalsnNI\\ud8").map(str.encode))
def test_anything_else_is_a_value_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("json") / "file.json"
    path.write_bytes(data)
    with contextlib.suppress(ValueError):
        read_json(path)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
        b'"\\ud800"',
        b'{"\\udc00": 1}',
        b'"\xff"',
        b"\0",
        b"[1, 2",
        b"",
    ],
)
def test_what_would_break_later_is_refused_at_once(tmp_path, data):
    (tmp_path / "file.json").write_bytes(data)
    with pytest.raises(ValueError):
        read_json(tmp_path / "file.json")


def test_a_file_larger_than_any_is_not_read_whole(tmp_path):
    with (tmp_path / "file.json").open("wb") as file:
        file.truncate(2**40)  # of holes
    tracemalloc.start()
    with pytest.raises(ValueError, match="larger than 16 MB"):
        read_json(tmp_path / "file.json")
    assert tracemalloc.get_traced_memory()[1] < 3 * LARGEST
    tracemalloc.stop()


def test_a_pipe_is_not_waited_for_and_a_link_not_followed(tmp_path):
    os.mkfifo(tmp_path / "file.json")
    with pytest.raises(ValueError, match="it is not a file"):
        read_json(tmp_path / "file.json")
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".a.json.partial").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(tmp_path / "a.json", "{}")
    assert (tmp_path / "precious").read_text() == "mine"
