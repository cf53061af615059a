"""LumièreNet's frames a second from sound to pictures, its first frame, and its live latency; a
part of accelerator.py.

The networks have the paper's widths, and nobody has trained them. Sound goes through everything
that infer.py does between its decoder and its encoder: loudness, features, networks, and pictures
on the host, with the marks of synthetic video and without. Where PyAV is installed, infer.py's own
way from a sound file to an MP4 is measured too.
"""

import argparse
import dataclasses
import importlib.util
import time
from collections.abc import Iterator
from fractions import Fraction

import jax
import numpy as np
from cases import FPS, SECONDS, Case, speech
from rounds import say
from systems.lumierenet.ours import model_of, synthesise

from lumiere_jax.audio.features import gain_to_loudness
from lumiere_jax.audio.frame_times import RATE, frames_covering
from lumiere_jax.audio.level_and_band import Heard, measure
from lumiere_jax.outputs.mark import marked
from lumiere_jax.runtime.inference_batches import chunk_frames
from lumiere_jax.runtime.memory_allocation import claim_accelerator, keep_freed_memory
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.contract import Model, Narration, Request, Timing
from lumiere_jax.systems.lumierenet.live import first_frame, frames_as_heard

BLOCK = RATE // 100


def spoken(model: Model, samples: np.ndarray) -> Iterator[Picture]:
    """A narration's frames, as `workflows.infer.speak` makes them of a file's sound."""
    level, band, _ = measure([samples])
    frames = frames_covering(len(samples), Fraction(FPS))
    narration = Narration([samples], gain_to_loudness(level), frames, band)
    return model.system.speak(model, Request(narration=narration))


def through(frames: Iterator[Picture]) -> tuple[float, float]:
    """Seconds to the first frame, and frames a second in all."""
    began = time.perf_counter()
    next(frames)
    first, count = time.perf_counter() - began, 1
    for _ in frames:
        count += 1
    return first, count / (time.perf_counter() - began)


def narrated(case: Case, samples: np.ndarray) -> None:
    """Rows of a narration: as it is made, with the marks, and to an MP4."""
    model = model_of(case)
    row = {"size": case.size, "dtype": case.dtype, "chunk": case.batch}
    compiled_s, _ = through(spoken(model, samples))
    first, rate = through(spoken(model, samples))
    say(**row, what="frames", fps=rate, first_ms=1000 * first, first_compiled_s=compiled_s)
    first, rate = through(marked(spoken(model, samples)))
    say(**row, what="marked frames", fps=rate, first_ms=1000 * first)
    if importlib.util.find_spec("av") is not None:
        once = synthesise(case, SECONDS)
        once(1)
        began = time.perf_counter()
        once(1)
        say(**row, what="MP4", fps=SECONDS * FPS / (time.perf_counter() - began))


def live(case: Case, samples: np.ndarray) -> None:
    """A row of a voice that comes as it is spoken, in blocks of 10 ms."""
    model, timing = model_of(case), Timing()
    paint, _ = first_frame(model)

    def arriving() -> Iterator[Heard]:
        began = time.monotonic()
        for start in range(0, len(samples), BLOCK):
            due = began + (start + BLOCK) / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            yield time.monotonic(), samples[start : start + BLOCK]

    for _ in frames_as_heard(model, paint, arriving(), timing):
        pass
    median, late = np.percentile(1000 * np.array(timing.latencies), [50, 95])
    row = {"size": case.size, "dtype": case.dtype, "what": "live", "repeated": timing.repeated}
    say(**row, median_ms=float(median), late_ms=float(late))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="small networks and little sound")
    short, sound = parser.parse_args().short, speech("second")
    keep_freed_memory()
    claim_accelerator()
    chunk = chunk_frames(jax.devices()[0].platform)
    one = Case(name="synthesis", kind="synthesis", dtype="bfloat16", size=256, batch=chunk)
    cases = [
        dataclasses.replace(one, size=size, dtype=dtype)
        for size in (256, 512)
        for dtype in ("bfloat16", "float32")
    ]
    if short:
        cases = [dataclasses.replace(one, size=64, dtype="float32", width=4, cells=8)]
        sound = sound[: 2 * RATE]
    for case in cases:
        narrated(case, sound)
        live(case, sound[: (1 if short else 3) * RATE])
