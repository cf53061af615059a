import itertools

import chex
import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.batches import device_dataset, example_order
from lumiere_jax.systems.lumierenet import device_data
from lumiere_jax.systems.lumierenet.batches import (
    figure_batches,
    triplet_batches,
    triplet_targets,
    window_batches,
)
from lumiere_jax.training import device_mesh

BATCH, STEPS, SEED = 8, 9, 5


def windows():
    rows = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    steps = np.maximum(np.arange(30)[:, None] + np.arange(-14, 1)[None], 0)
    return rows, steps, rows[:, :8].copy()


def both(name, dataset):
    """Data that is kept, the frames that batches are made of, and the pipeline's own batches."""
    if name == "figures":
        batches = figure_batches(dataset, "train", BATCH, SEED)
        return device_data.figures(dataset, "train"), np.arange(dataset.frames("train")), batches
    if name == "triplets":
        batches = triplet_batches(dataset, "train", BATCH, SEED, 4)
        frames = triplet_targets(dataset, "train", 4)
        return device_data.triplets(dataset, "train"), frames, batches
    data, batches = (
        device_data.windows(*windows()),
        window_batches(*windows(), BATCH, SEED),
    )
    return data, np.arange(30), batches


@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("name", ["figures", "triplets", "windows"])
def test_batches_are_the_pipelines_bit_for_bit(noise, name, devices):
    data, frames, batches = both(name, noise)
    mesh = device_mesh.data_mesh(devices)
    whole, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("data"))
    gather = jax.jit(lambda data, batch: device_dataset.gather(data, batch["index"]))
    kept = jax.device_put(data, whole)
    indices = example_order.index_batches(frames, BATCH, SEED)
    for index, batch in itertools.islice(zip(indices, batches, strict=True), STEPS):
        mine = gather(kept, device_mesh.place(index, mesh))
        np.testing.assert_array_equal(index["index"], batch.pop("index"))
        chex.assert_trees_all_equal(mine, batch)
        chex.assert_trees_all_equal_dtypes(mine, batch)
        assert all(array.sharding.is_equivalent_to(split, array.ndim) for array in mine.values())
    text = gather.lower(kept, device_mesh.place(index, mesh)).compile().as_text()
    assert "all-" not in text, "a device asks another for its pictures"


def test_a_split_is_kept_whole_and_its_size_is_known_beforehand(noise):
    data = device_data.triplets(noise, "train")
    chex.assert_shape(data.tables["frames"], (60, 64, 3 * 64))
    known = device_dataset.column_bytes(noise, "train", device_data.TRIPLETS)
    assert known == sum(table.nbytes for table in data.tables.values())
    assert known <= data.size < 1.02 * known


def test_what_does_not_fit_is_refused_with_its_numbers(monkeypatch):
    monkeypatch.setattr(device_dataset, "device_memory", lambda: 80_000_000_000)
    device_dataset.check_fits("vae", 40_000_000_000)
    with pytest.raises(UserError, match=r"resident: .*'vae' takes 40\.1 GB, .* 80\.0 GB .*--size"):
        device_dataset.check_fits("vae", 40_100_000_000)


def test_the_memory_of_a_device_is_asked_for(monkeypatch):
    host = device_dataset.device_memory() * (1 + len(jax.local_devices()))
    for limit, known in ((10**9, 10**9), (10**18, host // 9 * 9)):
        device = type(
            "Device", (), {"memory_stats": lambda self, limit=limit: {"bytes_limit": limit}}
        )
        monkeypatch.setattr(jax, "local_devices", lambda device=device: [device()])
        assert abs(device_dataset.device_memory() - known) < 9
