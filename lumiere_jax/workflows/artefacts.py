"""Artefacts: named arrays that a stage leaves for synthesis beside each of its checkpoints."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lumiere_jax.errors import UserError, printable, shortened
from lumiere_jax.files import write_whole
from lumiere_jax.training.checkpoint import KEPT

FOLDER = "artefacts"
# Bytes of all arrays, unpacked.
LARGEST = 2**30


def write_artefacts(folder: Path, step: int, artefacts: Mapping[str, Any]) -> None:
    """Writes the artefacts of a stage's step, whole or not at all, and removes older ones.

    Args:
      folder: The stage's folder.
      step: Its step, whose checkpoint is written next.
      artefacts: Arrays by name.
    """
    data, place = io.BytesIO(), folder / FOLDER
    arrays: dict[str, Any] = {name: np.asarray(array) for name, array in artefacts.items()}
    np.savez_compressed(data, **arrays)
    place.mkdir(exist_ok=True)
    write_whole(place / f"{step}.npz", data.getvalue())
    steps = sorted(int(path.stem) for path in place.glob("*.npz") if path.stem.isdecimal())
    for old in steps[: -KEPT - 1]:
        (place / f"{old}.npz").unlink()


def read_artefacts(folder: Path, step: int) -> dict[str, np.ndarray]:
    """Reads the artefacts of a stage's step.

    Raises:
      UserError: They are not there, or damaged.
    """
    path = folder / FOLDER / f"{step}.npz"
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                item.filename.removesuffix(".npy"): _read_array(archive, item)
                for item in _checked(archive)
            }
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is not there, and synthesis wants it: move the stage's folder elsewhere, and "
            "train it again."
        ) from error
    except Exception as error:  # zipfile and NumPy raise what a damaged file leads them to
        raise UserError(
            f"{path} is damaged ({shortened(printable(str(error)))}): move the stage's folder "
            "elsewhere, and train it again."
        ) from error


def _checked(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The archive's items; ValueError where they are too large or no arrays."""
    items = archive.infolist()
    if (size := sum(item.file_size for item in items)) > LARGEST:
        raise ValueError(f"it unpacks to {size >> 20} MB, over {LARGEST >> 20}")
    if other := [item.filename for item in items if not item.filename.endswith(".npy")]:
        raise ValueError(f"{other[0]!r} is no array")
    return items


def _read_array(archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> np.ndarray:
    """An item's array, whose header must not promise more than the item holds."""
    with archive.open(item) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{item.filename!r} is of another version of NumPy's format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject or int(np.prod(shape, dtype=object)) * dtype.itemsize > item.file_size:
        raise ValueError(f"{item.filename!r} promises more than it holds")
    with archive.open(item) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
