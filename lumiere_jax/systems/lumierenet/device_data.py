"""LumièreNet's training data in device memory: what `batches` draws from."""

import numpy as np

from lumiere_jax.inputs.batches import device_dataset
from lumiere_jax.inputs.batches.device_dataset import Resident
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.systems.lumierenet.batches import MEMORY

# Columns in device memory for batches of figures and of triplets.
FIGURES, TRIPLETS = ("figure", "keypoints"), ("frame", "figure", "keypoints")


def figures(dataset: Dataset, split: str) -> Resident:
    """Loads the data of `figure_batches`."""
    return of_figures(device_dataset.decoded(dataset, split, FIGURES))


def of_figures(tables: dict[str, np.ndarray]) -> Resident:
    """Wraps tables `figure` (frames, rows, 3 · cols) and `keypoints` for batches of figures."""
    order = np.arange(len(tables["keypoints"]), dtype=np.int32)
    return Resident(tables, {name: order for name in tables})


def triplets(dataset: Dataset, split: str) -> Resident:
    """Loads the data of `triplet_batches`."""
    return of_triplets(device_dataset.decoded(dataset, split, TRIPLETS))


def of_triplets(tables: dict[str, np.ndarray]) -> Resident:
    """Wraps tables `frame` and `figure` (frames, rows, 3 · cols) and `keypoints` for triplets."""
    ends = np.arange(len(tables["keypoints"]), dtype=np.int32)
    times = np.maximum(ends[:, None] + np.arange(-MEMORY, 1, dtype=np.int32)[None], 0)
    names = {"frame": "frames", "figure": "figures", "keypoints": "keypoints"}
    tables = {names[own]: table for own, table in tables.items()}
    return Resident(tables, {name: times for name in tables})


def windows(rows: np.ndarray, steps: np.ndarray, codes: np.ndarray) -> Resident:
    """Wraps the data of `window_batches`."""
    order = np.arange(len(codes), dtype=np.int32)
    tables = {"features": rows, "codes": codes}
    return Resident(tables, {"features": steps.astype(np.int32), "codes": order})
