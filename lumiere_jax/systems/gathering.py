"""Training steps on data that stays in device memory."""

import dataclasses
from typing import Any

from lumiere_jax.inputs.batches.device_dataset import gather
from lumiere_jax.training.stage import Batch, Metrics, Stage, State


def gathering(stage: Stage) -> Stage:
    """Returns the stage with a step that gathers its batch from data on the device.

    The step's batch is the `index` (batch,) of its items in `frozen["data"]`, a `Resident`.
    """

    def step(state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
        return stage.step(state, frozen, gather(frozen["data"], batch["index"]))

    return dataclasses.replace(stage, step=step)
