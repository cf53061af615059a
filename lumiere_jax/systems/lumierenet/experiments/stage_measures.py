"""Measures of a single trained stage: the BLSTM's losses and the VAE's reconstructions."""

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lumiere_jax import losses
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.measures import frame_comparison, summaries
from lumiere_jax.measures.evaluation import BATCH
from lumiere_jax.runtime.inference_batches import in_batches
from lumiere_jax.systems.lumierenet.blstm import blstm_network
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.feed import codes, heard_rows
from lumiere_jax.systems.lumierenet.normalised_features import split_features
from lumiere_jax.systems.lumierenet.system import stages
from lumiere_jax.systems.lumierenet.vae import reconstruct, vae_network
from lumiere_jax.training import checkpoint


def blstm_losses(config: Config, dataset: Dataset, workdir: Path) -> dict[str, float]:
    """Measures a trained BLSTM on training frames and on held-out ones (val and test).

    Returns:
      Mean squared errors "train" and "held_out", and as "train_variance" and "held_out_variance"
      the codes' mean squared distances from the training mean.
    """
    every = stages(config, dataset.size)
    vae = checkpoint.restore_frozen(workdir, every["vae"], "vae")["vae"]
    variables = checkpoint.restore_frozen(workdir, every["blstm"], "blstm")["blstm"]
    model = blstm_network(config)
    error = jax.jit(lambda a, z: losses.mse(model.apply(variables, a), z))

    def missed(rows: np.ndarray, steps: np.ndarray, z: np.ndarray) -> jax.Array:
        return error(rows[steps], z)

    values: dict[str, list[Any]] = {}
    mean = np.zeros(())
    for split in ("train", "val", "test"):
        if not dataset.frames(split):
            continue
        rows, steps = split_features(dataset, split), heard_rows(config, dataset, split)
        z = codes(config, dataset, split, vae)
        mean = z.mean(0) if split == "train" else mean
        part = "train" if split == "train" else "held_out"
        found = in_batches(functools.partial(missed, rows), 64, steps, z)
        values.setdefault(part, []).append(found)
        values.setdefault(f"{part}_variance", []).append(((z - mean) ** 2).mean(1))
    return {name: float(np.concatenate(parts).mean()) for name, parts in values.items()}


def figure_measures(config: Config, dataset: Dataset, workdir: Path) -> dict[str, float | None]:
    """Compares a trained VAE's reconstructions with the test split's figures, by measure."""
    vae = checkpoint.restore_frozen(workdir, stages(config, dataset.size)["vae"], "vae")["vae"]
    model = vae_network(config, dataset.size)
    again = jax.jit(lambda w: reconstruct(model, vae, w))
    records, values = dataset.records("test"), []
    for first in range(0, len(records), BATCH):
        known = [records[i] for i in range(first, min(first + BATCH, len(records)))]
        w = np.stack([picture_bytes.decode(record["figure"], dataset.shape) for record in known])
        keypoints = np.stack([record["keypoints"] for record in known])
        values.append(frame_comparison.judge(in_batches(again, BATCH, w), w, keypoints))
    return summaries.averages({n: np.concatenate([v[n] for v in values]) for n in values[0]})
