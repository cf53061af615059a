"""Live synthesis: frames of a voice one at a time, each as soon as its sound is there.

Frame t reads sound up to the end of its window, 44 ms from its own start, and no later. Its latency
is the time from the arrival of that window's last sample to the end of the picture's writing.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import numpy as np

from lumiere_jax.audio.features import FILTERS, WINDOW, log_mel, normalise
from lumiere_jax.audio.frame_times import frame_start
from lumiere_jax.audio.level_and_band import Heard, Level, high_passed
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.contract import Live, Model, Timing
from lumiere_jax.systems.lumierenet.synthesis import Painter, painter, stream_windows

# Seconds. A frame whose sound is older is not computed: the last picture is repeated.
LATE = 0.1


def rows_as_heard(
    blocks: Iterator[Heard],
    fps: Fraction,
    gain: Callable[[np.ndarray], float],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[float, np.ndarray]]:
    """Yields each frame's log-mel row (1, 40), with the arrival of its window's last sample.

    As in `front_ends.stream`, rows cover the last sample, with silence past it.

    Args:
      blocks: Blocks of sound with their times of arrival.
      fps: Frames per second.
      gain: Returns the gain after a block; called before any row that reads the block.
      clock: Returns the time in seconds.
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
    """Yields a picture for each frame of a voice that comes in blocks.

    Gain and band come from the sound so far.
    """
    run, level, heard_by = model.run, Level(), model.run.config.blstm
    rows = (
        (arrived, normalise(row, run.mean, run.std, level.band))
        for arrived, row in rows_as_heard(high_passed(blocks), run.fps, level.hear)
    )
    return pictures(rows, paint, heard_by.window, heard_by.delay, timing)


def first_frame(model: Model) -> tuple[Painter, Picture]:
    """Compiles features and painter for a single frame; returns the painter and that frame."""
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
    """Yields a picture for each normalised row.

    The request for the next picture marks the last one as written.

    Args:
      rows: Arrival times and normalised rows (1, 40).
      paint: The painter.
      width: Rows in a window.
      delay: Rows that a frame reads ahead.
      timing: Receives latencies and repeated frames.
      clock: Returns the time in seconds.
    """
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
