"""A stage as the training loop sees it: pure functions, numbers, and the stages it needs."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

Batch = Mapping[str, Any]
Metrics = dict[str, Any]
NOTHING: Mapping[str, Any] = {}
"""No initial variables."""


@flax.struct.dataclass
class TrainState:
    """One network in training: its parameters, statistics and optimiser.

    Attributes:
      params: Trained parameters.
      batch_stats: Running statistics of BatchNorm, or an empty dict.
      opt_state: State of the optimiser.
      ema: Exponential moving average of params and batch_stats, used for inference; or an empty
        dict.
    """

    params: Any
    batch_stats: Any
    opt_state: Any
    ema: Any

    @classmethod
    def create(
        cls, variables: Mapping[str, Any], optimiser: optax.GradientTransformation, ema: bool
    ) -> "TrainState":
        """Makes the state of a module's `init` output; with `ema`, adds a moving average."""
        params = variables["params"]
        batch_stats = variables.get("batch_stats", {})
        copy = jax.tree.map(jnp.copy, {"params": params, "batch_stats": batch_stats})
        return cls(params, batch_stats, optimiser.init(params), copy if ema else {})

    @property
    def variables(self) -> dict[str, Any]:
        """Variables that `apply` takes in training."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    @property
    def inference_variables(self) -> dict[str, Any]:
        """Variables that `apply` takes in inference: the moving average where one is kept."""
        return self.ema or self.variables

    def update(
        self,
        optimiser: optax.GradientTransformation,
        gradients: Any,
        batch_stats: Any = None,
        ema_decay: float = 0.0,
        step: jax.Array | None = None,
    ) -> "TrainState":
        """Takes one optimiser step.

        Args:
          optimiser: The optimiser that `create` got.
          gradients: Gradients of the loss with respect to params.
          batch_stats: Running statistics after this batch; None leaves them as they are.
          ema_decay: Largest decay of the moving average, which has (1 + step) / (10 + step) where
            that is less.
          step: Steps taken before this one.
        """
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimiser.update(gradients, self.opt_state, self.params)
        new = dataclasses.replace(
            self,
            params=optax.apply_updates(self.params, updates),
            batch_stats=self.batch_stats if batch_stats is None else batch_stats,
            opt_state=opt_state,
        )
        if not self.ema:
            return new
        count = jnp.float32(0) if step is None else step.astype(jnp.float32)
        decay = jnp.minimum(jnp.float32(ema_decay), (1.0 + count) / (10.0 + count))
        blend = lambda old, now: decay * old + (1.0 - decay) * now  # noqa: E731
        return dataclasses.replace(new, ema=jax.tree.map(blend, self.ema, new.variables))


@flax.struct.dataclass
class State:
    """A stage's whole state, which a checkpoint holds.

    Attributes:
      networks: Networks by name.
      step: Steps taken, int32.
      key: The key that each step folds its number into.
      extra: Arrays of finite numbers that steps change without gradients, such as the slots of a
        memory. Keys do not belong there.
    """

    networks: dict[str, TrainState]
    step: Any
    key: Any
    extra: Any = flax.struct.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A separately trained factor of the chain.

    Attributes:
      name: Its name.
      needs: Names of the stages that have to be trained before.
      batch: Examples in a batch, over all devices.
      steps: Steps of a run.
      init: `init(key, initial)` makes the first state. `initial`, {} by default, has variables, by
        network, that replace random ones.
      step: `step(state, frozen, batch)` is pure and returns the next state and metrics: scalars by
        name, with losses and norms of gradients. The loop takes a step only where all are finite.
        `frozen` has the variables of the stages in `needs` and of pretrained networks, by name.
      evaluate: `evaluate(state, frozen, batch)` returns metrics of a held-out batch.
      pictures: `pictures(state, frozen, batch)` makes an RGB sheet to look at.
      accumulate: Number of parts in which `step` takes a batch.
      dispatch: Number of steps in one call, which pays where a step is short.
      epoch: Steps of an epoch.
      patience: Epochs without a lower `gain` after which a run ends; 0 goes on to the last step.
      gain: Name of the held-out metric that has to become less.
      leaves_artefacts: Whether its training leaves artefacts for synthesis.
    """

    name: str
    needs: tuple[str, ...]
    batch: int
    steps: int
    init: Callable[..., State]
    step: Callable[[State, Any, Batch], tuple[State, Metrics]]
    evaluate: Callable[[State, Any, Batch], Metrics]
    pictures: Callable[[State, Any, Batch], np.ndarray] | None = None
    accumulate: int = 1
    dispatch: int = 1
    epoch: int = 0
    patience: int = 0
    gain: str = ""
    leaves_artefacts: bool = False
