"""Records of a folder: what is opened for them is closed."""

import os

import pytest

from lumiere_jax.inputs.dataset import builder
from lumiere_jax.inputs.dataset.columns import FRAME


def test_records_that_cannot_be_opened_leave_no_folder_open(tmp_path, monkeypatch):
    def broken(files):
        raise ValueError("no records")

    folder = tmp_path / "[1]"
    folder.mkdir()
    monkeypatch.setattr(builder, "ArrayRecordDataSource", broken)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match="no records") as raised:
        builder.records(folder, "train", (FRAME,))
    # Whoever holds the error holds what was being done, too.
    assert raised.tb and len(os.listdir("/proc/self/fd")) == before
