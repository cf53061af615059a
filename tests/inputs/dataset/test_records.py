"""Damage on the disk, as it comes: bytes of a file that are others."""

import dataclasses
import itertools
import shutil

import numpy as np
import pytest
from array_record.python import array_record_data_source

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.batches import record_reader
from lumiere_jax.inputs.dataset.records import Records
from lumiere_jax.systems.lumierenet.batches import figure_batches, triplet_batches


@pytest.fixture
def damage(noise, tmp_path):
    """Makes a copy of a dataset in which some records of a split are damaged."""

    def make(split, *indices, name="data"):
        folder = tmp_path / name
        shutil.copytree(noise.folder, folder)
        (path,) = folder.rglob(f"*-{split}.array_record*")
        data = bytearray(path.read_bytes())
        for place in [place_of(path, index) for index in indices]:
            data[place] ^= 1
        path.write_bytes(data)
        return dataclasses.replace(noise, folder=folder)

    return make


def place_of(path, index):
    """A byte that the record of this index alone is stored in."""
    whole, low = path.read_bytes(), 0
    high = len(whole)
    try:
        while True:
            place = (low + high) // 2
            data = bytearray(whole)
            data[place] ^= 1
            path.write_bytes(data)
            broken = unreadable(path)
            if broken == [index]:
                return place
            low, high = (place, high) if max(broken) < index else (low, place)
    finally:
        path.write_bytes(whole)


def unreadable(path):
    try:
        source = array_record_data_source.ArrayRecordDataSource([str(path)])
    except RuntimeError:  # the file's own end
        return [10**6]
    broken = []
    for index in range(len(source)):
        try:
            source[index]
        except RuntimeError:
            broken.append(index)
    return broken or [10**6]


def test_the_next_record_stands_in_the_place_of_a_damaged_one(noise, damage, capsys):
    records, whole = damage("train", 7, 8, 59).records("train"), noise.records("train")
    for index, instead in ((6, 6), (7, 9), (8, 9), (9, 9), (59, 0), (-1, 0)):
        assert records.encoded(index) == whole.encoded(instead)
        np.testing.assert_array_equal(records[index]["keypoints"], whole[instead]["keypoints"])
    assert len(records) == 60 and len(list(records)) == 60
    with pytest.raises(IndexError):
        records[60]
    said = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[2] for line in said] == [
        f"record {index} is damaged ({count} so far); the one after it takes its place."
        for count, index in enumerate((59, 7, 8), 1)
    ]


def test_batches_with_a_damaged_record_are_a_function_of_seed_and_step(noise, damage):
    dataset = damage("train", 11)

    def shown(data, first):
        batches = figure_batches(data, "train", 6, seed=0, first=first)
        return [x["figure"][:, 0, 0, :2].tolist() for x in itertools.islice(batches, 20 - first)]

    whole, mended = shown(noise, 0), shown(dataset, 0)
    assert shown(dataset, 13) == mended[13:], "whenever it is found"
    differ = [
        (one, other)
        for one, other in zip(sum(whole, []), sum(mended, []), strict=True)
        if one != other
    ]
    assert differ == [([0, 11], [0, 12])] * 2, "once an epoch"


def test_more_than_a_few_stop_the_run(damage):
    dataset = damage("train", 3, 4, 5, 30)
    wanted = r"data, 'train' split: 4 of its 60 records are damaged, .*: check the disk"
    with pytest.raises(UserError, match=wanted):
        list(dataset.records("train"))
    with pytest.raises(UserError, match=wanted):
        list(itertools.islice(triplet_batches(dataset, "train", 5, 0, 1), 40))
    with pytest.raises(UserError, match=wanted):
        list(record_reader.in_order(dataset, "train", ("frame",)))


def test_a_split_of_damaged_records_alone_is_refused(damage):
    with pytest.raises(UserError, match="'val' split: 4 of its 4 records are damaged"):
        damage("val", 0, 1, 2, 3).records("val")


def test_a_lack_of_memory_is_no_damage():
    def read(index):
        raise MemoryError

    records = Records([b"a", b"b"], read, "memory")
    with pytest.raises(MemoryError):
        records[0]
    assert not records.damaged
