"""The data of LumièreNet's stages: batches, held-out batches, and seconds to look at."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lumiere_jax.audio.features import FILTERS
from lumiere_jax.codes.recurrent import window_steps
from lumiere_jax.inputs.batches import device_dataset
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.runtime import hosts
from lumiere_jax.runtime.inference_batches import in_batches
from lumiere_jax.systems.contract import DeviceSplit, Feed, Scene, Trained
from lumiere_jax.systems.lumierenet import device_data
from lumiere_jax.systems.lumierenet.batches import (
    MEMORY,
    figure_batches,
    triplet_batches,
    triplet_targets,
    window_batches,
)
from lumiere_jax.systems.lumierenet.blstm import blstm_network
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.normalised_features import segment_features, split_features
from lumiere_jax.systems.lumierenet.seqpix2pix import render
from lumiere_jax.systems.lumierenet.seqpix2pix_losses import generator
from lumiere_jax.systems.lumierenet.vae import encode, reconstruct, vae_network
from lumiere_jax.systems.pictures import to_uint8
from lumiere_jax.systems.scenes import BATCH, longest_segment
from lumiere_jax.training.stage import Stage

NETWORKS = {"vae": "vae", "blstm": "blstm", "seqpix2pix": "G"}
VALIDATION_BATCHES = 2
VALIDATION_SEED = 1

Heard = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A split's features, the rows of them that each frame reads, and its codes."""


def feed(stage: Stage, config: Config, dataset: Dataset, trained: Trained) -> Feed:
    """Makes a stage's feed."""
    name = stage.name

    @functools.cache
    def heard(split: str) -> Heard:
        rows = split_features(dataset, split), heard_rows(config, dataset, split)
        return *rows, codes(config, dataset, split, trained("vae")["vae"])

    def figures(split: str, *rest: Any) -> Iterator[Any]:
        return figure_batches(dataset, split, *rest)

    def windows(split: str, *rest: Any) -> Iterator[Any]:
        return window_batches(*heard(split), *rest)

    def triplets(split: str, size: int, seed: int, *rest: Any) -> Iterator[Any]:
        stride = config.seqpix2pix.stride if split == "train" else 1
        return triplet_batches(dataset, split, size, seed, stride, *rest)

    make = {"vae": figures, "blstm": windows, "seqpix2pix": triplets}[name]
    size = min(64 if name == "blstm" else 8, max(1, dataset.frames("val") - MEMORY))
    return Feed(
        batches=lambda first: make(
            "train", stage.batch, config.seed, first, stage.steps, hosts.own_part()
        ),
        held_out=lambda: list(make("val", size, VALIDATION_SEED, 0, VALIDATION_BATCHES)),
        needs=lambda: dict(trained("vae")) if name == "seqpix2pix" and stage.needs else {},
        network=NETWORKS[name],
        scene=lambda: _scene(name, config, dataset),
        make=_maker(name, config, dataset.size, trained),
        on_device=_on_device(name, config, dataset, heard),
    )


def _on_device(name: str, config: Config, dataset: Dataset, heard: Any) -> DeviceSplit:
    def frames() -> np.ndarray:
        if name == "seqpix2pix":
            return triplet_targets(dataset, "train", config.seqpix2pix.stride)
        return np.arange(dataset.frames("train"))

    if name == "blstm":
        numbers = FILTERS + config.vae.code + config.blstm.window
        size = 4 * numbers * dataset.frames("train")
        return DeviceSplit(
            size=size, read=lambda: device_data.windows(*heard("train")), frames=frames
        )
    read = {"vae": device_data.figures, "seqpix2pix": device_data.triplets}[name]
    names = device_data.FIGURES if name == "vae" else device_data.TRIPLETS
    size = device_dataset.column_bytes(dataset, "train", names)
    return DeviceSplit(size=size, read=lambda: read(dataset, "train"), frames=frames)


def heard_rows(config: Config, dataset: Dataset, split: str) -> np.ndarray:
    """Returns the feature rows (frames, window) of each frame; they stay in its segment."""
    pieces = [
        s.offset + window_steps(s.frames, config.blstm.window, config.blstm.delay)
        for s in dataset.segments
        if s.split == split
    ]
    return np.concatenate(pieces)


def codes(config: Config, dataset: Dataset, split: str, variables: Any) -> np.ndarray:
    """Computes the VAE encoder's means (frames, code) of a split's figures, in order."""
    model = vae_network(config, dataset.size)
    means = jax.jit(lambda w: encode(model, variables, w))
    records = dataset.records(split)
    rows = []
    hidden = not hosts.is_first()
    with tqdm(total=len(records), desc=f"codes of {split}", unit="frame", disable=hidden) as bar:
        for first in range(0, len(records), 16):
            w = np.stack(
                [
                    picture_bytes.decode(records[i]["figure"], dataset.shape)
                    for i in range(first, min(first + 16, len(records)))
                ]
            )
            rows.append(in_batches(means, 16, w))
            bar.update(len(w))
    return np.concatenate(rows)


def _scene(name: str, config: Config, dataset: Dataset) -> Scene:
    segment, count, records = longest_segment(dataset, "val")
    figures = np.stack(
        [picture_bytes.decode(record["figure"], dataset.shape) for record in records]
    )
    sound = dataset.sound(segment, count)
    if name == "vae":
        return Scene(figures, figures, sound)
    if name == "seqpix2pix":
        frames = np.stack(
            [picture_bytes.decode(record["frame"], dataset.shape) for record in records]
        )
        return Scene(figures, frames, sound)
    rows = segment_features(dataset, segment, dataset)[:count]
    heard = rows[window_steps(count, config.blstm.window, config.blstm.delay)]
    return Scene(heard, figures, sound)


def _maker(name: str, config: Config, size: int, trained: Trained) -> Any:
    """Returns the function from a stage's variables and inputs to uint8 pictures."""

    @functools.cache
    def function() -> Any:
        w_of_z = vae_network(config, size)
        if name == "vae":
            return jax.jit(functools.partial(reconstruct, w_of_z))
        if name == "seqpix2pix":
            return jax.jit(functools.partial(render, generator(config, size)))
        z_of_a = blstm_network(config)

        @jax.jit
        def figures_of(frozen: Any, variables: Any, a: Any) -> jax.Array:
            z = z_of_a.apply(variables, a)
            w: Any = w_of_z.apply(frozen, z, method="decode")
            return to_uint8(w, low=0.0)

        # NumPy arrays have no device, so JAX puts them on the stage's.
        return functools.partial(figures_of, jax.tree.map(np.asarray, trained("vae")["vae"]))

    return lambda variables, given: in_batches(
        functools.partial(function(), variables), BATCH, given
    )
