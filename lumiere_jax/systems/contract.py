"""The contract between systems and workflows.

A system is one way of filling in the chain from sound to frames. Workflows know systems by this
contract alone: they prepare the columns that a system names, train its stages, keep what those
leave behind, and give it a request for each video.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np

from lumiere_jax.audio.frame_times import RATE
from lumiere_jax.audio.level_and_band import Heard
from lumiere_jax.inputs.batches.device_dataset import Resident
from lumiere_jax.inputs.dataset.columns import Column
from lumiere_jax.inputs.dataset.description import Description
from lumiere_jax.inputs.dataset.geometry import Geometry
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.measures.evaluation import Evaluation
from lumiere_jax.shapes import Chunk, Picture
from lumiere_jax.training.log import Check
from lumiere_jax.training.loop import Batches
from lumiere_jax.training.stage import Batch, Stage, State

Variables = Mapping[str, Any]
"""A stage's variables for inference, by network; "extra" is its `State.extra`, where it has any."""
Trained = Callable[[str], Variables]
"""Reads the variables of a stage that has been trained, by the stage's name."""
Artefacts = Mapping[str, np.ndarray]
"""Arrays that a stage leaves for synthesis beside its checkpoint, by name."""


@dataclass(frozen=True, kw_only=True)
class Run(Description):
    """A workdir's identity; what synthesis needs besides the checkpoints."""

    config: Any


class Narration(NamedTuple):
    """Sound to be spoken.

    Attributes:
      pieces: Mono sound of 16 kHz, in pieces of any length.
      gain: Factor that brings it to -26 dBFS.
      frames: Number of frames that cover it.
      band: Frequency in Hz up to which a voice is heard in it.
    """

    pieces: Iterable[Chunk]
    gain: float
    frames: int
    band: float = RATE / 2


@dataclass(frozen=True, kw_only=True)
class Request:
    """Contents of a video that is to be made.

    Attributes:
      narration: Sound that is spoken.
      still: Picture of the face that speaks, aligned, for systems that want one.
      options: Values of the system's own flags, by name.
    """

    narration: Narration
    still: Picture | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A trained workdir, read.

    Attributes:
      system: The system that it is a model of.
      run: Its description.
      variables: By stage, those of the networks that synthesis uses.
      artefacts: By stage, where a stage has left some.
      pretrained: Networks from elsewhere that synthesis uses.
      steps: How many steps each stage has taken.
    """

    system: "System"
    run: Run
    variables: Mapping[str, Variables]
    artefacts: Mapping[str, Artefacts] = field(default_factory=dict)
    pretrained: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        """A short identifier of everything that decides what the model says and shows."""
        facts = (self.run.size, str(self.run.fps), *self.system.synthesis_settings(self.run.config))
        digest = hashlib.sha256(json.dumps(facts).encode())
        others = self.artefacts, self.pretrained
        # Sorted by network, then stage: identifiers of older workdirs stay what they are.
        named = sorted((n, stage) for stage, own in self.variables.items() for n in own)
        variables = [self.variables[stage][name] for name, stage in named]
        for leaf in jax.tree.leaves((self.run.mean, self.run.std, variables, *others)):
            digest.update(np.asarray(leaf).tobytes())
        return digest.hexdigest()[:16]


class Scene(NamedTuple):
    """Neighbouring frames of one segment.

    Attributes:
      given: What a stage is given for each frame.
      true: The true pictures, uint8 (frames, rows, cols, 3).
      sound: Their sound (samples, 1), 16 kHz.
    """

    given: np.ndarray
    true: np.ndarray
    sound: np.ndarray


@dataclass(frozen=True, kw_only=True)
class DeviceSplit:
    """A training split that can stay in device memory.

    Attributes:
      size: Bytes that it takes.
      read: Reads it.
      frames: Indices of the frames that batches are made of.
    """

    size: int
    read: Callable[[], Resident]
    frames: Callable[[], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Feed:
    """Data of a stage. Functions read the dataset when they are called.

    Attributes:
      batches: `batches(first)` are those of training from step `first` on.
      held_out: Batches to validate on.
      needs: Variables of other stages, by the names that the step knows them by.
      network: The network that makes the training's clips.
      scene: The first seconds to validate on.
      make: `make(variables, given)` makes uint8 pictures of a scene's `given`.
      on_device: The training split for device memory; None where a system cannot train from there.
      initial: Variables, by network, that `init` takes in place of random ones; those of another
        workdir, where a user names one, come before them.
      artefacts: `artefacts(state)` makes what the trained stage leaves for synthesis; None where it
        leaves nothing.
    """

    batches: Batches
    held_out: Callable[[], list[Batch]]
    needs: Callable[[], dict[str, Any]]
    network: str
    scene: Callable[[], Scene]
    make: Callable[[Any, np.ndarray], np.ndarray]
    on_device: DeviceSplit | None = None
    initial: Callable[[], Variables] = dict
    artefacts: Callable[[State], Artefacts] | None = None


@dataclass
class Timing:
    """Latencies of live frames in seconds, and how many frames are another's again."""

    latencies: list[float] = field(default_factory=list)
    repeated: int = 0

    @property
    def frames(self) -> int:
        return len(self.latencies) + self.repeated

    def __str__(self) -> str:
        median, late = np.percentile(1000 * np.array(self.latencies or [0.0]), [50, 95])
        again = f", {self.repeated} repeated because computing fell behind" if self.repeated else ""
        return (
            f"{self.frames} frames{again}; from sound to picture: median {median:.0f} ms, "
            f"95th percentile {late:.0f} ms."
        )


@dataclass(frozen=True, kw_only=True)
class Live:
    """Speaking while listening.

    Attributes:
      warm_up: Compiles what a model needs for a frame; returns that, and a frame.
      frames: `frames(model, compiled, blocks, timing)` makes a picture for each frame of a voice
        that comes in blocks, and notes how late each is.
      ahead: Frames that a config's model hears ahead.
    """

    warm_up: Callable[[Model], tuple[Any, Picture]]
    frames: Callable[[Model, Any, Iterator[Heard], Timing], Iterator[Picture]]
    ahead: Callable[[Any], int]


@dataclass(frozen=True, kw_only=True)
class System:
    """One way of filling in the chain from sound to frames.

    Attributes:
      name: Its name.
      config: Makes its config, with the paper's numbers.
      check: Raises a UserError for a config that cannot work.
      geometry: The pictures that it learns from.
      columns: The columns that it learns from.
      networks: Names of the networks that synthesis uses, by stage.
      architecture: By stage, the config's fields that decide its networks (of a decay or a weight,
        whether it is 0): a checkpoint fits no others.
      synthesis_settings: Values of a config that change what synthesis shows, but no parameters.
      fit: Gives a config what depends on the dataset.
      stages: Makes the stages of a config for pictures of a shape, in training order.
      pretrained: Loads networks from elsewhere, for training.
      feed: `feed(stage, config, dataset, trained)` gives a stage its data.
      checks: Reads a stage's log for warnings.
      speak: Makes a request's frames.
      evaluation: What is measured.
      request_needs: Fields of a request, beside the narration, that have to be filled: "still".
      pretrained_in_use: Loads networks from elsewhere, for synthesis.
      live: Speaking while listening; None where it cannot.
    """

    name: str
    config: Callable[[], Any]
    check: Callable[[Any], None]
    geometry: Geometry
    columns: tuple[Column, ...]
    networks: Mapping[str, tuple[str, ...]]
    architecture: Mapping[str, tuple[str, ...]]
    synthesis_settings: Callable[[Any], tuple[Any, ...]]
    fit: Callable[[Any, Dataset], Any]
    stages: Callable[[Any, tuple[int, int]], dict[str, Stage]]
    pretrained: Callable[[Any], dict[str, Any]]
    feed: Callable[[Stage, Any, Dataset, Trained], Feed]
    checks: Callable[[str, Any], dict[str, Check]]
    speak: Callable[[Model, Request], Iterator[Picture]]
    evaluation: Evaluation
    request_needs: tuple[str, ...] = ()
    pretrained_in_use: Callable[[Any], dict[str, Any]] = lambda config: {}
    live: Live | None = None
