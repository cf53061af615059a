"""Sampled frames and training logs, for the reports of one workdir and of several."""

from pathlib import Path
from typing import Any

import numpy as np

from lumiere_jax.errors import UserError
from lumiere_jax.files import read_json
from lumiere_jax.training.log import read_lines

COLUMNS = 8
FRAMES = "frames.csv"


def sampled(total: int) -> list[int]:
    """Returns the evenly spaced indices of the frames that a report shows."""
    return np.unique(np.linspace(0, total - 1, COLUMNS + 2)[1:-1].astype(int)).tolist()


def log_lines(stage: Path) -> list[dict[str, Any]]:
    """Reads the lines of a stage's log; empty where the file is missing."""
    path = stage / "log.jsonl"
    return read_lines(path) if path.is_file() else []


def read_own(path: Path) -> dict[str, Any]:
    """What an earlier run of the experiments wrote.

    Raises:
      UserError: it is damaged.
    """
    try:
        values = read_json(path)
        if not isinstance(values, dict):
            raise ValueError("it is no record")
        return values
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): move it, or its folder, elsewhere, and run this "
            "again."
        ) from error
