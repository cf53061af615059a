"""What the workflows ask of a system: one way of filling in the chain from sound to frames."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lumiere_jax.audio.features import RATE
from lumiere_jax.inputs.columns import Column
from lumiere_jax.inputs.geometry import Geometry
from lumiere_jax.inputs.lectures import Dataset, Description
from lumiere_jax.inputs.resident import Resident
from lumiere_jax.shapes import Chunk, Picture
from lumiere_jax.systems.measuring import Evaluation
from lumiere_jax.training.log import Check
from lumiere_jax.training.loop import Batches
from lumiere_jax.training.stage import Batch, Stage

Trained = Callable[[str], Any]
"""The variables for use of a stage that has been trained, by its name."""


@dataclass(frozen=True, kw_only=True)
class Run(Description):
    """A workdir's identity; what synthesis needs besides the checkpoints."""

    config: Any


class Narration(NamedTuple):
    """What is to be spoken: mono sound of 16 kHz in pieces of any length, the gain that brings it
    to the loudness that is heard, the number of frames that cover it, and the frequency in Hz up to
    which a voice is heard in it."""

    pieces: Iterable[Chunk]
    gain: float
    frames: int
    band: float = RATE / 2


class Scene(NamedTuple):
    """Neighbouring frames: what a stage is given, what it should make, and the samples heard."""

    given: np.ndarray
    true: np.ndarray
    sound: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A training split for device memory: what it takes in bytes, how it is read, and which of its
    frames the batches are made of."""

    size: int
    read: Callable[[], Resident]
    frames: Callable[[], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What a stage gets of a dataset; nothing is read before it is asked for.

    `batches(first)` are those of training from a step on, and `held_out` some to validate on;
    `needs` gives the variables of other stages that a step is given. `scene` is the first seconds
    to validate on, and `make` what its `network`'s variables make of what is given there. `kept` is
    None where the system cannot train from device memory.
    """

    batches: Batches
    held_out: Callable[[], list[Batch]]
    needs: Callable[[], dict[str, Any]]
    network: str
    scene: Callable[[], Scene]
    make: Callable[[Any, np.ndarray], np.ndarray]
    kept: Kept | None = None


@dataclass(frozen=True, kw_only=True)
class System:
    """A system by its name.

    `config` makes its config with the paper's numbers, and `check` raises a UserError for one that
    cannot work; `fit` gives it what depends on the dataset. `geometry` and `columns` are the
    pictures and the columns that a dataset needs for it.
    `networks` are those that synthesis uses, by their stage. A checkpoint fits only the networks
    that it was made from: `architecture` names, by stage, the config's fields that decide them (of
    a decay or weight, whether it is 0), and `hears` those that decide what a model is told.
    `pretrained` loads networks from elsewhere, `feed` gives a stage its data, `checks` read its
    log, and `speak` makes a narration's frames, of a still where faces are aligned. `evaluation` is
    what is measured.
    """

    name: str
    config: Callable[[], Any]
    check: Callable[[Any], None]
    geometry: Geometry
    columns: tuple[Column, ...]
    networks: Mapping[str, str]
    architecture: Mapping[str, tuple[str, ...]]
    hears: Callable[[Any], tuple[Any, ...]]
    fit: Callable[[Any, Dataset], Any]
    stages: Callable[[Any, tuple[int, int]], dict[str, Stage]]
    pretrained: Callable[[Any], dict[str, Any]]
    feed: Callable[[Stage, Any, Dataset, Trained], Feed]
    checks: Callable[[str, Any], dict[str, Check]]
    speak: Callable[[Run, Mapping[str, Any], Narration, Picture | None], Iterator[Picture]]
    evaluation: Evaluation
