"""Gradient accumulation: means over the parts of a batch that does not fit at once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lumiere_jax.training.stage import Batch


def accumulate(
    f: Callable[[Batch, jax.Array], Any], parts: int, batch: Batch, key: jax.Array
) -> Any:
    """Averages `f(part, key)` over the parts of a batch, taken in turn.

    Where `f` returns gradients of a mean over examples, the result is the whole batch's, except for
    noise and BatchNorm. Each part draws noise with a key of its own. In training, BatchNorm has
    each part's statistics, and its new running averages are the mean of the parts'.

    Args:
      f: Function of a part and a key.
      parts: Number of parts; 1 returns `f(batch, key)`.
      batch: The batch. Part i has every `parts`-th example from i on, so that each device keeps its
        own.
      key: The key that is split between the parts.
    """
    if parts == 1:
        return f(batch, key)
    split = {name: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1) for name, x in batch.items()}
    keys = jax.random.split(key, parts)
    part = {name: x[0] for name, x in split.items()}
    blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(f, part, key))

    def add(total: Any, item: tuple[Batch, jax.Array]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, f(*item)), None

    total, _ = jax.lax.scan(add, blank, (split, keys))
    return jax.tree.map(lambda x: x / parts, total)
