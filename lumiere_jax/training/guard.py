"""Guards training: steps that are not finite change nothing, and ten in a row end the run."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from lumiere_jax.errors import UserError
from lumiere_jax.runtime import hosts
from lumiere_jax.training.stage import Batch, Metrics, State

Step = Callable[[State, Any, Batch], tuple[State, Metrics]]

SKIPPED, STOP = "skipped", "stop"
PATIENCE = 10
# Most items of a batch that a message lists.
SHOWN = 32


def guarded(step: Step) -> Step:
    """Wraps a step so that it changes nothing but the count where a metric is not finite.

    Networks and `State.extra` then stay as they were, and the next step takes the next batch. The
    step's metrics get `skipped`, 0 or 1, and `stop`, the largest in the batch. By `stop`, hosts
    agree on the step at which they stop.
    """

    def take(state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
        rest = {name: x for name, x in batch.items() if name != STOP}
        new, metrics = step(state, frozen, rest)
        good = jnp.stack([jnp.isfinite(x).all() for x in metrics.values()]).all()
        networks, extra = jax.tree.map(
            lambda *both: jnp.where(good, *both),
            (new.networks, new.extra),
            (state.networks, state.extra),
        )
        counted = {SKIPPED: 1.0 - good.astype(jnp.float32)}
        if STOP in batch:
            counted[STOP] = batch[STOP].max()
        return dataclasses.replace(new, networks=networks, extra=extra), {**metrics, **counted}

    return take


@dataclass
class Call:
    """The steps of one call, their metrics on the device, and their batches."""

    steps: range
    metrics: Metrics
    batches: list[Batch]


@dataclass
class Watch:
    """Metrics that a stage's steps have reported, and the steps that were skipped.

    Attributes:
      stage: Name of the stage.
      recent: Metrics of good steps since the last call of `drain`.
      skipped: Number of steps skipped since then.
      row: The last steps, where they were skipped in a row.
      stop: Whether a host wants to stop.
    """

    stage: str
    recent: list[dict[str, float]] = field(default_factory=list)
    skipped: int = 0
    row: list[int] = field(default_factory=list)
    stop: bool = False

    def look(self, call: Call, saved: Callable[[], str]) -> None:
        """Reads the metrics of a call's steps.

        Args:
          call: The call.
          saved: Says which checkpoint is safe, for the error's message.

        Raises:
          UserError: `PATIENCE` steps in a row were skipped.
        """
        columns = {name: np.ravel(x) for name, x in jax.device_get(call.metrics).items()}
        for i, step in enumerate(call.steps):
            line = {name: float(x[i]) for name, x in columns.items()}
            self.stop |= line.pop(STOP, 0.0) > 0
            if not line.pop(SKIPPED):
                self.row.clear()
                self.recent.append(line)
                continue
            self.skipped += 1
            self.row.append(step)
            wrong = ", ".join(name for name, x in line.items() if not np.isfinite(x))
            if len(self.row) == PATIENCE:
                raise self._patience_ends(wrong, call.batches[i], saved())
            if len(self.row) == 1 and hosts.is_first():
                tqdm.write(f"{self.stage}: {wrong} is not finite at step {step}: it is skipped.")

    def _patience_ends(self, wrong: str, batch: Mapping[str, Any], saved: str) -> UserError:
        items = [str(i) for i in np.ravel(batch.get("index", []))]
        of = f" (frames {', '.join(items[:SHOWN])}{', …' * (len(items) > SHOWN)})" if items else ""
        return UserError(
            f"{self.stage}: {wrong} is not finite at steps {self.row[0]} to {self.row[-1]}, and "
            f"{PATIENCE} bad steps in a row end a run: lower --config.{self.stage}.learning_rate, "
            f"or look at the last one's batch{of}; {saved}."
        )

    def drain(self) -> tuple[list[dict[str, float]], int]:
        """Returns and forgets the good steps' metrics and the number of skipped steps."""
        since = self.recent, self.skipped
        self.recent, self.skipped = [], 0
        return since
