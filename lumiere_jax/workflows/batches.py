"""Any number of examples through a compiled function of whole batches."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def in_batches(f: Callable[..., Any], batch: int, *arrays: np.ndarray) -> Any:
    """What `f` makes of equally long arrays, as NumPy: an array, or several by name.

    The last batch is filled up with its last example, so that everything is compiled once.
    """
    rows, blocks = len(arrays[0]), []
    for start in range(0, rows, batch):
        own = [x[start : start + batch] for x in arrays]
        full = [np.concatenate([x, np.repeat(x[-1:], batch - len(x), 0)]) for x in own]
        blocks.append(jax.tree.map(np.asarray, f(*full)))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:rows], *blocks)
