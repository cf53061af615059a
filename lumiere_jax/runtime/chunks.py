"""How much is computed at once: pieces of a narration, and any number of examples."""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

# Chunks that are computed while one is looked at: the device is never without work.
AHEAD = 1


def chunk_frames(platform: str) -> int:
    """How many frames are computed at once.

    A CPU's cores are busy with 8, and a narration's last chunk is filled up with frames that
    nobody sees; an accelerator waits for its host less often with more.
    """
    return 8 if platform == "cpu" else 32


def platform_of(variables: Any) -> str:
    """Of the device that the variables are on: a process may have several kinds."""
    leaf = jax.tree.leaves(variables)[0]
    device = next(iter(leaf.devices())) if isinstance(leaf, jax.Array) else jax.devices()[0]
    return device.platform


def chunked(
    items: Iterable[np.ndarray], chunk: int, compute: Callable[[np.ndarray], tuple[jax.Array, ...]]
) -> Iterator[tuple[np.ndarray | jax.Array, ...]]:
    """What `compute` makes of `chunk` items at a time, in their order: several arrays, the last of
    them on the host; the next ones are computed meanwhile.

    The last chunk is filled up with its last item, and what is made of that is left out.
    """
    items = iter(items)
    ahead: collections.deque[tuple[int, tuple[jax.Array, ...]]] = collections.deque()

    def oldest() -> tuple[np.ndarray | jax.Array, ...]:
        count, (*others, last) = ahead.popleft()
        return *(x[:count] for x in others), np.asarray(last)[:count]

    while piece := list(itertools.islice(items, chunk)):
        made = compute(np.stack(piece + [piece[-1]] * (chunk - len(piece))))
        made[-1].copy_to_host_async()
        ahead.append((len(piece), made))
        if len(ahead) > AHEAD:
            yield oldest()
    while ahead:
        yield oldest()


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
