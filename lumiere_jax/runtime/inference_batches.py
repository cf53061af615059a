"""Fixed-size batches for inference: chunks of a stream, and batches of whole arrays."""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

# Chunks dispatched ahead of the one being read, so the device always has work.
AHEAD = 1


def chunk_frames(platform: str) -> int:
    """Returns the number of frames computed in one call.

    8 keep a CPU's cores busy, and waste few frames of padding in a narration's last chunk. An
    accelerator waits for its host less often with 32.
    """
    return 8 if platform == "cpu" else 32


def platform_of(variables: Any) -> str:
    """Returns the platform of the variables' device; a process may have several platforms."""
    leaf = jax.tree.leaves(variables)[0]
    device = next(iter(leaf.devices())) if isinstance(leaf, jax.Array) else jax.devices()[0]
    return device.platform


def chunked(
    items: Iterable[np.ndarray], chunk: int, compute: Callable[[np.ndarray], tuple[jax.Array, ...]]
) -> Iterator[tuple[np.ndarray | jax.Array, ...]]:
    """Applies `compute` to stacks of `chunk` items, computing the next stack meanwhile.

    The last stack is padded with its last item to length `chunk`; the padding's outputs are
    dropped.

    Yields:
      The arrays that `compute` returns for each stack, in order; the last array is on the host.
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
    """Applies `f` to equally long arrays, batch by batch, and concatenates its outputs.

    The last batch is padded with its last example, so `f` is compiled once.

    Returns:
      `f`'s outputs as NumPy arrays, in the pytree that `f` returns.
    """
    rows, blocks = len(arrays[0]), []
    for start in range(0, rows, batch):
        own = [x[start : start + batch] for x in arrays]
        full = [np.concatenate([x, np.repeat(x[-1:], batch - len(x), 0)]) for x in own]
        blocks.append(jax.tree.map(np.asarray, f(*full)))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:rows], *blocks)
