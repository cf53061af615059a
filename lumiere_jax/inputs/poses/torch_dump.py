"""Files of `torch.save` as DensePose's `apply_net.py dump` writes them.

Besides tensors they hold objects of the results' classes, which become empty records.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lumiere_jax.errors import UserError
from lumiere_jax.torch_files import Tensor, open_torch

_RESULTS = {
    ("densepose.structures.chart_result", "DensePoseChartResult"),
    ("densepose.structures.chart_result", "DensePoseChartResultWithConfidences"),
    ("densepose.structures.chart_result", "DensePoseChartResultQuantized"),
    ("densepose.structures.chart_result", "DensePoseChartResultCompressed"),
    ("densepose.structures", "DensePoseResult"),
    ("densepose.data.structures", "DensePoseResult"),
}


def _record(module: str, name: str) -> Any:
    if (module, name) in _RESULTS:
        return type(name, (), {})
    if "cse" in module.split(".") or "Embedding" in name:
        raise ValueError("it comes from a CSE model, which has no IUV: use a chart-based one")
    raise ValueError(f"it wants {module}.{name}, which no DensePose dump needs")


def open_dump(path: Path) -> tuple[Any, Callable[[Tensor], np.ndarray]]:
    """Opens a dump; returns its content, with tensors as `Tensor`, and a function that reads them.

    Raises:
      UserError: torch.save did not write the file, or it needs more classes than a dump does.
    """
    try:
        content, read = open_torch(path, _record)
    except Exception as error:
        raise _refusal(path, error) from error

    def read_tensor(tensor: Tensor) -> np.ndarray:
        try:
            return read(tensor)
        except Exception as error:
            raise _refusal(path, error) from error

    return content, read_tensor


def _refusal(path: Path, error: Exception) -> UserError:
    reason = str(error) or type(error).__name__
    return UserError(
        f"{path} cannot be read as a DensePose dump: {reason}; "
        "write it with detectron2's apply_net.py dump."
    )
