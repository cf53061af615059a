"""Synthesis of frames from audio features, in pieces: memory does not grow with the narration."""

import collections
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from lumiere_jax.codes.recurrent import BLSTM
from lumiere_jax.figures.autoencoder import VAE
from lumiere_jax.frames.generators import UNet
from lumiere_jax.runtime.inference_batches import chunk_frames, chunked, platform_of
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.lumierenet.blstm import blstm_network
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.seqpix2pix_losses import generator
from lumiere_jax.systems.lumierenet.vae import vae_network
from lumiere_jax.systems.pictures import to_uint8

Painter = Callable[[Any], tuple[jax.Array, jax.Array]]


class Synthesised(NamedTuple):
    """A frame, and the pose figure from which G made it."""

    figure: Picture
    frame: Picture


def stream_windows(rows: Iterable[np.ndarray], width: int, delay: int = 0) -> Iterator[np.ndarray]:
    """Yields each frame's window (width, 40) from pieces of feature rows (any length, 40).

    Frame t's window is rows t+delay-width+1 to t+delay. Beyond the ends, the first and the last row
    are repeated, as `codes.recurrent.window_steps` does for a whole narration.
    """
    singles = (row for piece in rows for row in piece)
    first = next(singles, None)
    if first is None:
        return
    held = collections.deque([first] * width, maxlen=width)
    ahead = delay
    for row in itertools.chain([None], singles):
        if row is not None:
            held.append(row)
        if ahead:
            ahead -= 1
        else:
            yield np.stack(held)
    # A narration shorter than the delay: its last row is repeated before its first window.
    held.extend([held[-1]] * ahead)
    for _ in range(delay - ahead):
        held.append(held[-1])
        yield np.stack(held)


@functools.partial(jax.jit, static_argnums=0)
def _chain(
    models: tuple[BLSTM, VAE, UNet], variables: Mapping[str, Any], a: Any
) -> tuple[jax.Array, jax.Array]:
    """Maps windows to figures and frames; compiled once for all narrations of a process."""
    z_of_a, w_of_z, y_of_w = models
    z = z_of_a.apply(variables["blstm"]["blstm"], a)
    w: Any = w_of_z.apply(variables["vae"]["vae"], z, method="decode")
    y = y_of_w.apply(variables["seqpix2pix"]["G"], w * 2.0 - 1.0, train=False)
    return to_uint8(w, low=0.0), to_uint8(y, low=-1.0)


def painter(config: Config, size: int, variables: Mapping[str, Any]) -> Painter:
    """Returns the function from windows (n, width, 40) to figures and frames.

    It runs where the variables are. Running averages are used throughout, so a frame does not
    depend on the others of its chunk.

    Args:
      config: The model's config.
      size: Rows and cols of its pictures.
      variables: The model's variables, by stage and network.
    """
    models = (
        blstm_network(config),
        vae_network(config, size),
        generator(config, size),
    )
    return functools.partial(_chain, models, variables)


def synthesise(
    config: Config, size: int, variables: Mapping[str, Any], rows: Iterable[np.ndarray]
) -> Iterator[Synthesised]:
    """Yields a figure and a frame for each row of normalised features, which come in pieces.

    Where the rows are cut changes nothing.
    """
    for figures, frames in _chunks(config, size, variables, rows):
        yield from map(Synthesised, np.asarray(figures), frames)


def synthesise_frames(
    config: Config, size: int, variables: Mapping[str, Any], rows: Iterable[np.ndarray]
) -> Iterator[Picture]:
    """Yields the frames of `synthesise`; the figures stay on the device."""
    for _, frames in _chunks(config, size, variables, rows):
        yield from np.asarray(frames)


def _chunks(
    config: Config, size: int, variables: Mapping[str, Any], rows: Iterable[np.ndarray]
) -> Iterator[tuple[Any, ...]]:
    """Yields chunks of figures and frames."""
    windows = stream_windows(rows, config.blstm.window, config.blstm.delay)
    paint = painter(config, size, variables)
    return chunked(windows, chunk_frames(platform_of(variables)), paint)
