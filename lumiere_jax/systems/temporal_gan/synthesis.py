"""Synthesis of frames from a still and sound, in pieces: memory does not grow with the sound."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lumiere_jax.audio.front_ends import stream, waveform
from lumiere_jax.runtime.inference_batches import chunk_frames, chunked, platform_of
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.contract import Model, Request
from lumiere_jax.systems.pictures import signed, to_uint8
from lumiere_jax.systems.temporal_gan.config import Config
from lumiere_jax.systems.temporal_gan.networks import Generator, Identity, Memory, generator


@functools.partial(jax.jit, static_argnums=0)
def identify(model: Generator, variables: Any, still: Any) -> Identity:
    """Encodes a uint8 still (1, rows, cols, 3) once for all of its frames."""
    known: Any = model.apply(variables, signed(still), method="identify")
    return known


@functools.partial(jax.jit, static_argnums=(0, 1))
def go_on(
    model: Generator,
    deviation: float,
    variables: Any,
    identity: Identity,
    memory: Memory,
    x: Any,
    seed: Any,
    first: Any,
) -> tuple[jax.Array, Memory]:
    """Generates uint8 frames of the windows (n, 2560).

    Args:
      model: The generator.
      deviation: Standard deviation of the noise.
      variables: The generator's variables.
      identity: The encoded still.
      memory: Memory of the frames before.
      x: Windows (n, 2560).
      seed: Seed of the noise; a frame draws its noise by the seed and its number.
      first: Number of the first frame.

    Returns:
      The frames, and the memory after them.
    """
    key = jax.random.key(seed)
    draw = lambda t: jax.random.normal(jax.random.fold_in(key, t), (model.noise,))  # noqa: E731
    noise = deviation * jax.vmap(draw)(first + jnp.arange(len(x)))
    made: Any = model.apply(variables, x[None], identity, noise[None], memory, method="go_on")
    y, memory = made
    return to_uint8(y[0], low=-1.0), memory


def no_memory(config: Config) -> Memory:
    """Returns the memory before the first frame."""
    c = config.animator
    if not c.recurrent:
        return None
    return np.zeros((2, 1, c.cells), np.float32), np.zeros((1, 1, c.noise), np.float32)


def animate(
    config: Config,
    variables: Mapping[str, Any],
    still: Picture,
    windows: Iterable[np.ndarray],
    seed: int = 0,
    chunk: int | None = None,
) -> Iterator[Picture]:
    """Yields a frame of the still's face for each window of sound (2560,).

    Args:
      config: The model's config.
      variables: The model's variables, by stage and network.
      still: An aligned face.
      windows: Windows of sound.
      seed: Seed of the noise.
      chunk: Number of windows taken at a time, which changes nothing but the speed.
    """
    model, g = generator(config), variables["animator"]["G"]
    identity, memory = identify(model, g, still[None]), no_memory(config)
    draw = functools.partial(go_on, model, config.animator.noise_deviation, g, identity)
    first = 0

    def paint(x: np.ndarray) -> tuple[jax.Array]:
        # Only the last piece is padded, and nobody reads the memory after it.
        nonlocal memory, first
        frames, memory = draw(memory, x, np.uint32(seed), np.int32(first))
        first += len(x)
        return (frames,)

    for (frames,) in chunked(windows, chunk or chunk_frames(platform_of(g)), paint):
        yield from np.asarray(frames)


def speak(model: Model, request: Request) -> Iterator[Picture]:
    """Yields the frames of a narration that an aligned face speaks."""
    assert request.still is not None
    run, narration = model.run, request.narration
    blocks = stream(waveform(run.fps), narration.pieces, narration.frames, narration.gain)
    windows = itertools.chain.from_iterable(blocks)
    return animate(run.config, model.variables, request.still, windows, run.config.seed)
