"""Frames of a voice that is still speaking: one at a time, each as soon as its sound is there.

Frame t hears up to the end of its window, 44 ms from its own start, and nothing later. Its latency
is the time from the arrival of that window's last sample to the end of the picture's writing.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import numpy as np

from lumiere_jax.audio.features import FILTERS, WINDOW, frame_start, log_mel, normalise
from lumiere_jax.audio.listening import Heard, Level, high_passed
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.contract import Live, Model, Timing
from lumiere_jax.systems.lumierenet.synthesis import Painter, painter, stream_windows

# A frame whose sound is older than this (seconds) is not computed: the last picture stands in.
LATE = 0.1


def rows_as_heard(
    blocks: Iterator[Heard],
    fps: Fraction,
    gain: Callable[[np.ndarray], float],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[float, np.ndarray]]:
    """Each frame's log-mel row (1, 40), and when the last sample of its window had come.

    As in `front_ends.stream`, as many rows as cover the last sample, and silence past it.
    `gain` is asked with each block, before any row that hears it.
    """
    held, before = np.zeros(1, np.float32), 0  # begins a sample before frame `before`'s first
    arrived, factor, more = clock(), 1.0, True
    for t in itertools.count():
        skip = frame_start(t, fps) - before
        while more and len(held) < skip + 1 + WINDOW:
            block = next(blocks, None)
            more = block is not None
            if block is None:
                arrived = clock()
            else:
                arrived, samples = block
                factor = gain(samples)
                held = np.concatenate([held, samples])
        held, before = held[skip:], before + skip
        if len(held) < 2:
            return
        window = np.pad(held[: WINDOW + 1], (0, max(0, WINDOW + 1 - len(held))))
        yield arrived, np.asarray(log_mel(window * np.float32(factor), np.zeros(1, np.int32)))


def frames_as_heard(
    model: Model, paint: Painter, blocks: Iterator[Heard], timing: Timing
) -> Iterator[Picture]:
    """A picture for each frame of a voice that comes in blocks.

    The gain and the band are those of what has been heard so far.
    """
    run, level, heard_by = model.run, Level(), model.run.config.blstm
    rows = (
        (arrived, normalise(row, run.mean, run.std, level.band))
        for arrived, row in rows_as_heard(high_passed(blocks), run.fps, level.hear)
    )
    return pictures(rows, paint, heard_by.window, heard_by.delay, timing)


def first_frame(model: Model) -> tuple[Painter, Picture]:
    """A model's painter, compiled for a single frame, as are its features, and that frame."""
    run = model.run
    paint = painter(run.config, run.size, model.variables)
    log_mel(np.zeros(WINDOW + 1, np.float32), np.zeros(1, np.int32)).block_until_ready()
    _, frames = paint(np.zeros((1, run.config.blstm.window, FILTERS), np.float32))
    return paint, np.asarray(frames)[0]


def pictures(
    rows: Iterable[tuple[float, np.ndarray]],
    paint: Painter,
    width: int,
    delay: int,
    timing: Timing,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Picture]:
    """A picture for each normalised row; asked for the next, the last one counts as written."""
    arrived, shown = 0.0, None

    def singles() -> Iterator[np.ndarray]:
        nonlocal arrived
        for moment, row in rows:
            arrived = moment
            yield row

    for window in stream_windows(singles(), width, delay):
        if shown is not None and clock() - arrived > LATE:
            timing.repeated += 1
            yield shown
            continue
        _, frames = paint(window[None])
        shown = np.asarray(frames)[0]
        yield shown
        timing.latencies.append(clock() - arrived)


LIVE = Live(warm_up=first_frame, frames=frames_as_heard, ahead=lambda config: config.blstm.delay)
