"""What `--which` names: the paper's experiments, and the ablation of `lecture`."""

import copy
import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lumiere_jax import vgg
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset import description
from lumiere_jax.inputs.dataset.lectures import Dataset, open_dataset
from lumiere_jax.systems.experiment import Experiment, Trial
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.experiments.comparison import compare
from lumiere_jax.systems.lumierenet.experiments.trials import ablation_trials, paper_trials
from lumiere_jax.systems.lumierenet.system import load_vgg

POOLS = Config().vgg_layers


def from_flags(which: str, presets: Any, options: Mapping[str, Any]) -> Experiment:
    """Makes an experiment of flags' values.

    Args:
      which: "paper" or "ablation".
      presets: The module of LumièreNet's presets, configs/lumierenet.py.
      options: Values of the system's flags, by name.

    Raises:
      UserError: a value is unusable, or the weights of VGG-19 are.
    """
    triplets, plain, weights = (options[name] for name in ("triplets", "plain", "config.vgg"))
    if triplets < 1:
        raise UserError(f"--triplets={triplets}: use 1 or more.")
    if plain and which != "ablation":
        raise UserError("--plain goes with --which=ablation: add that, or leave --plain out.")
    if weights == "none":
        raise UserError(
            "--config.vgg=none: these experiments compare perceptual losses; name a file of VGG-19 "
            "weights, download or random."
        )
    paper, lecture = presets.paper(), presets.lecture()
    for config in (paper, lecture):
        if options["scale"] != "full":
            presets.two_cores(config, triplets)
        config.vgg = weights
    layers = tuple(options["config.vgg_layers"] or ())
    if which == "paper":
        return paper_experiment(paper, lecture, layers)
    return ablation_experiment(lecture, plain, layers)


def paper_experiment(paper: Config, lecture: Config, layers: tuple[str, ...] = ()) -> Experiment:
    """The paper's experiments (section 4.5), with `lecture` as one more row.

    Args:
      paper: Config of the paper's model.
      lecture: Config of the preset `lecture`.
      layers: VGG-19's layers for perceptual losses; by default those of `stand_in`.
    """

    def trials(dataset: Dataset) -> list[Trial]:
        _set_layers((paper, lecture), layers)
        return paper_trials(paper, lecture)

    return _experiment("paper", trials)


def ablation_experiment(
    lecture: Config, plain: Path | None = None, layers: tuple[str, ...] = ()
) -> Experiment:
    """The ablation: `lecture`, and `lecture` with one thing changed each.

    Args:
      lecture: Config of the preset `lecture`.
      plain: The same footage without explicit eyes, lips and fingers, for one more row.
      layers: VGG-19's layers for perceptual losses; by default those of `stand_in`.
    """

    def trials(dataset: Dataset) -> list[Trial]:
        _set_layers((lecture,), layers)
        return ablation_trials(lecture, _open_plain(plain, dataset) if plain else None)

    return _experiment("ablation", trials)


def _experiment(which: str, trials: Callable[[Dataset], list[Trial]]) -> Experiment:
    page = functools.partial(compare, which=which)
    return Experiment(name=which, system="lumierenet", trials=trials, write_page=page)


def _set_layers(configs: tuple[Config, ...], layers: tuple[str, ...]) -> None:
    if configs[-1].vgg != "none":
        layers = layers or stand_in(configs[-1])
        for config in configs:
            config.vgg_layers = layers


def stand_in(config: Config) -> tuple[str, ...]:
    """Returns the paper's pools, or relu1_1, relu2_1 and relu3_1 for weights without pool3."""
    config = copy.copy(config)
    config.vgg_layers = ()
    allowed = vgg.allowed_layers(load_vgg(config))
    return POOLS if POOLS[-1] in allowed else ("relu1_1", "relu2_1", "relu3_1")


def _open_plain(plain: Path, dataset: Dataset) -> Dataset:
    """Opens the dataset of plain figures; raises a UserError unless its footage is the same."""
    other = open_dataset(plain)
    wanted = dataclasses.replace(dataset, figure=description.figure_scheme(dataset.figure, False))
    for name in ("figure", "size", "fps", "segments", "drawn_seed", "consent", "mean", "std"):
        if not np.array_equal(getattr(other, name), getattr(wanted, name)):
            raise UserError(
                f"--plain={plain} is not {dataset.folder} with plain figures (other {name}): "
                "prepare the same footage in the same way, and with --noexplicit."
            )
    return other
