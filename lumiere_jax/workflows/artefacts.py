"""What stages leave for synthesis beside their checkpoints: named arrays, one file a stage."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lumiere_jax.errors import UserError
from lumiere_jax.files import write_whole

FILE = "artefacts.npz"
# Bytes of all arrays, unpacked.
LARGEST = 2**30


def write_artefacts(folder: Path, artefacts: Mapping[str, Any]) -> None:
    """Writes a stage's artefacts into its folder, whole or not at all."""
    data = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(array) for name, array in artefacts.items()}
    np.savez_compressed(data, **arrays)
    write_whole(folder / FILE, data.getvalue())


def read_artefacts(folder: Path) -> dict[str, np.ndarray]:
    """A stage's artefacts.

    Raises:
      UserError: they are not there, or damaged.
    """
    path = folder / FILE
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > LARGEST:
            raise ValueError(f"it unpacks to {size >> 20} MB, over {LARGEST >> 20}")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is not there, and synthesis wants it: run train.py on this workdir again."
        ) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise UserError(
            f"{path} is damaged ({error}): move it elsewhere, and run train.py on this workdir "
            "again."
        ) from error
