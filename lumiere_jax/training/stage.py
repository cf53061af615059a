"""What the loop needs to know of a stage: pure functions and the names of the stages before it."""

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
    """One network: what it learns, and what its training keeps beside that.

    Attributes:
      params: Trained parameters.
      batch_stats: Running statistics of BatchNorm, or an empty dict.
      opt_state: State of the optimiser.
      ema: Exponential moving average of params and batch_stats, used for inference, or an empty
        dict where none is kept.
    """

    params: Any
    batch_stats: Any
    opt_state: Any
    ema: Any

    @classmethod
    def create(
        cls, variables: Mapping[str, Any], optimiser: optax.GradientTransformation, ema: bool
    ) -> "TrainState":
        """State for a module's `init` output; `ema` keeps a moving average beside it."""
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
          optimiser: The one that `create` was given.
          gradients: Of the loss with respect to params.
          batch_stats: Running statistics after this batch; None keeps those before it.
          ema_decay: The most that the moving average keeps of itself. It keeps
            (1 + step) / (10 + step) where that is less.
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
      networks: By name.
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

    `init(key, initial)` gives the first state; `initial`, {} by default, has variables, by network,
    that it takes in place of random ones. `step(state, frozen, batch)` is pure and gives
    `(state, metrics)`, scalars by name, losses and the gradients' norms among them: a step is taken
    only where all are finite. `evaluate(state, frozen, batch)` gives metrics of a
    held-out batch; `pictures(state, frozen, batch)` an RGB sheet to look at. `frozen` holds,
    by name, the variables of the stages in `needs` and of pretrained networks. `accumulate` is
    the number of parts that `step` takes a batch in, and `dispatch` that of the steps that one
    call takes, which pays where a step is short. `patience` is the number of epochs, of `epoch`
    steps, after which a run ends whose `gain`, a held-out metric, has not become less; 0: it goes
    on to its last step. `leaves_artefacts` says whether its training leaves artefacts for
    synthesis.
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
