"""Checks the arrays that a checkpoint describes before any of them is read."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
import tensorstore


def check_arrays(manager: ocp.CheckpointManager, step: int, abstract: Any) -> None:
    """Raises ValueError for stored arrays of unexpected shapes, or with oversized chunks.

    A chunk of zeros is small on the disk, and as large in memory as its metadata says.
    """
    place = {"driver": "file", "path": f"{manager.directory / str(step) / 'state'}/"}
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": place}).result()
    if any(key.endswith(b"zarr.json") for key in store.list().result()):
        raise ValueError("it is of another format")
    described = {
        path: store.read(f"{'.'.join(map(_plain, path))}/.zarray")
        for path, _ in jax.tree_util.tree_leaves_with_path(abstract)
    }
    for path, leaf in jax.tree_util.tree_leaves_with_path(abstract):
        typed = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        shape = (jax.eval_shape(jax.random.key_data, leaf) if typed else leaf).shape
        array = json.loads(described[path].result().value)
        pieces = [min(n, max(m, 1)) for n, m in zip(array["chunks"], shape, strict=True)]
        if tuple(array["shape"]) != shape or array["chunks"] != pieces:
            raise ValueError(f"{path} is of another shape")


def _plain(key: Any) -> str:
    """Returns a key of a path as Orbax writes it."""
    return str(next(getattr(key, n) for n in ("key", "name", "idx") if hasattr(key, n)))
