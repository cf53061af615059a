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


@flax.struct.dataclass
class TrainState:
    """One network: parameters, running statistics, optimiser, and a moving average for use."""

    params: Any
    statistics: Any
    optimiser: Any
    average: Any

    @classmethod
    def create(
        cls, variables: Mapping[str, Any], optimiser: optax.GradientTransformation, average: bool
    ) -> "TrainState":
        """State for a module's `init` output; `average` keeps a moving average beside it."""
        params = variables["params"]
        statistics = variables.get("batch_stats", {})
        copy = jax.tree.map(jnp.copy, {"params": params, "batch_stats": statistics})
        return cls(params, statistics, optimiser.init(params), copy if average else {})

    @property
    def variables(self) -> dict[str, Any]:
        """What `apply` takes while training."""
        return {"params": self.params, "batch_stats": self.statistics}

    @property
    def inference_variables(self) -> dict[str, Any]:
        """What `apply` takes in use: the moving average where one is kept."""
        return self.average or self.variables

    def update(
        self,
        optimiser: optax.GradientTransformation,
        gradients: Any,
        statistics: Any = None,
        average_decay: float = 0.0,
        step: jax.Array | None = None,
    ) -> "TrainState":
        """One optimiser step; the average (of weights and statistics) warms up with `step`."""
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimiser.update(gradients, self.optimiser, self.params)
        new = dataclasses.replace(
            self,
            params=optax.apply_updates(self.params, updates),
            statistics=self.statistics if statistics is None else statistics,
            optimiser=state,
        )
        if not self.average:
            return new
        count = jnp.float32(0) if step is None else step.astype(jnp.float32)
        decay = jnp.minimum(jnp.float32(average_decay), (1.0 + count) / (10.0 + count))
        return dataclasses.replace(
            new,
            average=jax.tree.map(
                lambda old, now: decay * old + (1.0 - decay) * now, self.average, new.variables
            ),
        )


@flax.struct.dataclass
class State:
    """A stage's whole state: named networks, the number of steps taken, and the key."""

    networks: dict[str, TrainState]
    step: Any
    key: Any


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A separately trained factor of the chain.

    `init(key)` gives the first state; `step(state, frozen, batch)` is pure and gives
    `(state, metrics)`, scalars by name, losses and the gradients' norms among them: a step is taken
    only where all are finite. `evaluate(state, frozen, batch)` gives metrics of a
    held-out batch; `pictures(state, frozen, batch)` an RGB sheet to look at. `frozen` holds,
    by name, the variables of the stages in `needs` and of pretrained networks. `accumulate` is
    the number of parts that `step` takes a batch in, and `dispatch` that of the steps that one
    call takes, which pays where a step is short. `patience` is the number of epochs, of `epoch`
    steps, after which a run ends whose `gain`, a held-out metric, has not become less; 0: it goes
    on to its last step.
    """

    name: str
    needs: tuple[str, ...]
    batch: int
    steps: int
    init: Callable[[jax.Array], State]
    step: Callable[[State, Any, Batch], tuple[State, Metrics]]
    evaluate: Callable[[State, Any, Batch], Metrics]
    pictures: Callable[[State, Any, Batch], np.ndarray] | None = None
    accumulate: int = 1
    dispatch: int = 1
    epoch: int = 0
    patience: int = 0
    gain: str = ""
