"""Data in device memory: batches are indices, and are gathered inside the step."""

import os
from collections.abc import Sequence
from math import prod
from typing import Any

import flax.struct
import jax
import numpy as np
from tqdm import tqdm

from lumiere_jax.errors import UserError, readable_bytes
from lumiere_jax.inputs.batches import record_reader
from lumiere_jax.inputs.dataset.lectures import Dataset

# Networks, optimisers and activations need the rest.
SHARE = 0.5


@flax.struct.dataclass
class Resident:
    """Tables in device memory, and the rows of them that make each frame's item.

    Attributes:
      tables: Arrays by name. A picture's row is (rows, 3 · cols): a TPU would pad an axis of three
        to 128.
      rows: Row indices by name, (frames,) or (frames, rows).
    """

    tables: dict[str, Any]
    rows: dict[str, Any]

    @property
    def size(self) -> int:
        """Size in bytes."""
        return sum(array.nbytes for array in jax.tree.leaves((self.tables, self.rows)))


def gather(data: Resident, index: jax.Array) -> dict[str, jax.Array]:
    """Gathers the batch of these frames, with the arrays of the pipeline's batches."""
    batch = {}
    for name, rows in data.rows.items():
        wanted = rows.at[index].get(mode="promise_in_bounds")
        values = data.tables[name].at[wanted].get(mode="promise_in_bounds")
        if values.dtype == np.uint8:
            values = values.reshape(*wanted.shape, values.shape[-2], -1, 3)
        batch[name] = values
    # Compiles the rest of the step as for a batch from the host, so results equal bit for bit.
    return jax.lax.optimization_barrier(batch)


def column_bytes(dataset: Dataset, split: str, names: Sequence[str]) -> int:
    """Returns the bytes of a split's columns of these names."""
    tables = (_row(dataset, name) for name in names)
    return dataset.frames(split) * sum(prod(shape) * dtype.itemsize for shape, dtype in tables)


def check_fits(stage: str, needed: int) -> None:
    """Raises a UserError if `needed` bytes leave too little memory for training."""
    if needed > SHARE * (memory := device_memory()):
        raise UserError(
            f"--config.resident: the data of '{stage}' takes {readable_bytes(needed)}, more than "
            f"half of the {readable_bytes(memory)} of memory that a device has: leave it out, or "
            "prepare the footage with a smaller --size."
        )


def device_memory() -> int:
    """Returns a device's memory in bytes, or the host's if less, since data passes through it."""
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    devices = jax.local_devices()
    limit = (devices[0].memory_stats() or {}).get("bytes_limit")
    # A CPU's devices and the host share one memory.
    return host // (len(devices) + 1) if limit is None else min(limit, host)


def _row(dataset: Dataset, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Returns shape and dtype of a column's row in a table."""
    column, (rows, cols) = dataset.column(name), dataset.shape
    if column.is_picture:
        return (rows, 3 * cols), np.dtype(np.uint8)
    return column.shape, np.dtype(column.dtype)


def decoded(dataset: Dataset, split: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Decodes a split's columns of these names into a table each."""
    frames, tables = dataset.frames(split), {}
    for name in names:
        shape, dtype = _row(dataset, name)
        tables[name] = np.empty((frames, *shape), dtype)
    done = 0
    quiet = jax.process_index() > 0
    with tqdm(total=frames, desc=f"frames of {split}", unit="frame", disable=quiet) as bar:
        for chunk in record_reader.in_order(dataset, split, names):
            count = len(chunk["index"])
            for name, table in tables.items():
                table[done : done + count] = chunk[name].reshape(count, *table.shape[1:])
            done += count
            bar.update(count)
    return tables
