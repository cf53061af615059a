"""Training on data that stays in device memory."""

import dataclasses
from typing import Any

from lumiere_jax.inputs.resident import gather
from lumiere_jax.training.stage import Batch, Metrics, Stage, State


def on_kept(stage: Stage) -> Stage:
    """The stage, whose step takes the `index` (batch,) of a batch's items in `frozen["data"]`, a
    `Resident`, in place of the batch."""

    def step(state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
        return stage.step(state, frozen, gather(frozen["data"], batch["index"]))

    return dataclasses.replace(stage, step=step)
