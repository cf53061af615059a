import errno
import fcntl
import os

import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.runtime.locks import LOCK, lock


def held(folder):
    return lock(folder / LOCK, folder)


def test_a_workdir_is_for_one_run_at_a_time_and_the_lock_is_gone_afterwards(tmp_path):
    with held(tmp_path / "run"):
        with pytest.raises(UserError, match="run is in use by another run"), held(tmp_path / "run"):
            pytest.fail("two runs hold the workdir")
    assert not list((tmp_path / "run").iterdir())
    with held(tmp_path / "run"):
        pass


def test_a_workdir_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match=f"{folder} cannot be written .a file is where"):
            with held(folder):
                pytest.fail("a file holds no run")


def test_a_lock_that_its_holder_removes_is_not_taken_for_one(tmp_path, monkeypatch):
    """The second opens the file, the first removes it and lets go: what the second then locks is
    no file that a third would meet."""
    first, real = held(tmp_path), fcntl.flock
    first.__enter__()

    def late(handle, how):
        if first.gen is not None:
            first.__exit__(None, None, None)
            first.gen = None
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with held(tmp_path):
        monkeypatch.setattr(fcntl, "flock", real)
        with pytest.raises(UserError, match="in use"), held(tmp_path):
            pytest.fail("two runs hold the workdir")


def test_a_link_or_a_pipe_in_the_locks_place_is_neither_emptied_nor_waited_for(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="cannot be written"), held(tmp_path):
        pytest.fail("a link is no lock")
    assert (tmp_path / "precious").read_text() == "mine"
    (tmp_path / LOCK).unlink()
    os.mkfifo(tmp_path / LOCK)
    with held(tmp_path):
        pass


def test_a_disk_without_locks_is_named(tmp_path, monkeypatch):
    def none(handle, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(UserError, match="cannot be written .No locks available.: name another"):
        with held(tmp_path):
            pytest.fail("nothing is locked")
