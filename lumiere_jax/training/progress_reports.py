"""Reports of a training: measurements, pictures and log lines, by the first host alone."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from lumiere_jax.runtime import hosts
from lumiere_jax.training.device_mesh import local
from lumiere_jax.training.guard import SKIPPED
from lumiere_jax.training.log import Check, Clip, Line, Log
from lumiere_jax.training.stage import Batch, Stage, State

Preview = Callable[[int, State], Clip | None]
"""Makes a clip of a stage's output at a step; None where that did not work."""

# About how many lines the log of a run has, and the most steps between two of them.
LINES, LONGEST = 100, 500
CLIP_STEPS = 5_000
# Default numbers of reports and clips in a run.
REPORTS, CLIPS = 20, 4


class Due(NamedTuple):
    """What is due at a step.

    Attributes:
      line: A line of the log.
      report: A report; its line is due, too.
      sheet: A sheet of pictures; its report is due, too.
      clip: A clip.
    """

    line: bool
    report: bool
    sheet: bool
    clip: bool


Report = Callable[[int, State, tuple[list[dict[str, float]], int], Due], bool]
"""Writes what is due at a step, and returns whether the stage is out of patience.

Takes the step, the state, a pair of metrics of good steps and the number of skipped ones since the
last line, and what is due.
"""


def due_at(steps: int, reports: int, clips: int, epoch: int = 0) -> Callable[[int], Due]:
    """Returns the function that says what is due at each step of a run.

    Args:
      steps: Steps of the run.
      reports: Number of reports in it.
      clips: Number of clips in it.
      epoch: Steps of an epoch, which ends with a report, too; 0 for none.
    """
    often, every = max(1, min(steps // LINES, LONGEST)), max(1, steps // reports)
    between = between_clips(steps, clips)

    def due(step: int) -> Due:
        sheet = step % every == 0 or step in (1, steps)
        report = sheet or epoch > 0 and step % epoch == 0
        clip = step % between == 0 or step == steps
        return Due(report or step % often == 0, report, sheet, clip)

    return due


def between_clips(steps: int, clips: int = CLIPS) -> int:
    """Returns the number of steps from a clip to the next."""
    return max(1, min(steps // clips, CLIP_STEPS))


@contextlib.contextmanager
def reporting(
    stage: Stage,
    folder: Path,
    step: int,
    frozen: Any,
    validation: list[Batch],
    checks: Mapping[str, Check],
    preview: Preview | None,
) -> Iterator[Report]:
    """Opens the log in `folder` to go on from `step`, and yields the function that writes it.

    State and `frozen` are replicated over hosts. Only the first host computes and writes reports.

    Args:
      stage: The stage.
      folder: The stage's folder.
      step: The last step that the log keeps.
      frozen: Variables of other stages and of pretrained networks, by name.
      validation: Held-out batches that reports measure.
      checks: Checks of the log, by kind of warning.
      preview: Makes a clip, where there is one.
    """
    if not hosts.is_first():
        yield lambda *_: False
        return
    evaluate, frozen = jax.jit(stage.evaluate), local(frozen)
    with contextlib.closing(Log(folder, step)) as log:

        def report(
            step: int, state: State, since: tuple[list[dict[str, float]], int], due: Due
        ) -> bool:
            state, (recent, skipped) = local(state), since
            if due.line:
                values = means(recent) | ({SKIPPED: float(skipped)} if skipped else {})
                if due.report:
                    measured = [evaluate(state, frozen, dict(b)) for b in validation]
                    values |= {f"val_{k}": v for k, v in means(measured).items()}
                log.scalars(step, values)
            if due.report:
                if due.sheet and stage.pictures and validation:
                    log.picture(step, stage.pictures(state, frozen, validation[0]))
                for kind, check in checks.items():
                    if sentence := check(log.lines):
                        log.warn(step, kind, sentence)
            if due.clip and preview and (made := preview(step, state)):
                log.clip(step, made)
            return due.report and out_of_patience(stage, log.lines)

        yield report


def out_of_patience(stage: Stage, lines: Sequence[Line]) -> bool:
    """Whether a log shows too many epochs without a gain."""
    values = [(line[f"val_{stage.gain}"], line["step"]) for line in lines if _tells(stage, line)]
    if not (stage.patience and stage.epoch and values):
        return False
    _, best = min(values)
    return values[-1][1] - best >= stage.patience * stage.epoch


def _tells(stage: Stage, line: Line) -> bool:
    return bool(np.isfinite(line.get(f"val_{stage.gain}", np.nan)))


def means(metrics: list[Any]) -> dict[str, float]:
    """Averages each metric."""
    names = metrics[0] if metrics else ()
    return {name: float(np.mean([m[name] for m in metrics])) for name in names}
