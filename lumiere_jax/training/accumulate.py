"""Gradients of a batch that does not fit at once: the mean over its parts, taken in turn."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lumiere_jax.training.stage import Batch


def accumulate(
    f: Callable[[Batch, jax.Array], Any], parts: int, batch: Batch, key: jax.Array
) -> Any:
    """The mean of `f(part, its key)` over the parts of a batch; with one, `f(batch, key)` itself.

    Where `f` gives gradients of a mean over examples, these are the whole batch's. What differs
    is noise, which each part draws with a key of its own, and BatchNorm, whose statistics in
    training are each part's; its running averages are the mean of what the parts make of them.
    Part i has every `parts`-th example from i on, so that each device keeps its own.
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
