"""What LumièreNet's input pipeline delivers, beside what its steps eat on the same machine.

  python benchmarks/input.py [--size=256] [--json=PATH]

Footage is drawn into a temporary folder; the steps have the paper's widths and random VGG-19
features. Examples are figures of the VAE and triplets of SeqPix2Pix.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from ours import step_seconds

from configs.lumierenet import paper
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.runtime.memory_allocation import keep_freed_memory
from lumiere_jax.systems.lumierenet.batches import figure_batches, triplet_batches
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.system import load_vgg, stages
from lumiere_jax.workflows import drawn_dataset

BATCHES = {"vae": 4, "seqpix2pix": 1}
ROUNDS, SECONDS = 3, 2.0
DRAWN = 4 * 16_000


def measure(size: int) -> list[dict[str, Any]]:
    """Examples per second of the pipeline and of the step, and their ratio, for each stage."""
    config = paper()
    config.vgg, config.seqpix2pix.stride = "random", 1
    for name, batch in BATCHES.items():
        getattr(config, name).batch = batch
    with tempfile.TemporaryDirectory() as folder:
        dataset = draw_dataset(Path(folder) / "data", size)
        return [_measure(name, config, dataset) for name in BATCHES]


def draw_dataset(folder: Path, size: int) -> Dataset:
    """Four seconds to train on: the narrations are cut, because the drawing takes its time."""
    whole = drawn_dataset.read_narration
    with mock.patch.object(drawn_dataset, "read_narration", lambda path: whole(path)[:DRAWN]):
        return drawn_dataset.prepare_synthetic(out=folder, size=size)


def _measure(name: str, config: Config, dataset: Dataset) -> dict[str, Any]:
    batch = BATCHES[name]
    make = figure_batches if name == "vae" else triplet_batches
    options = {} if name == "vae" else {"stride": 1}
    batches = make(dataset, "train", batch, 0, **options)
    next(batches)
    rates = [_rate(batches.__next__) for _ in range(ROUNDS)]
    delivered, one = batch * statistics.median(rates), next(batches)
    del batches  # and with it the threads that read ahead
    print(f"{name}: the pipeline gives {delivered:.0f} a second", file=sys.stderr)
    frozen = {"vgg": load_vgg(config), "vae": {}}
    eaten = batch / step_seconds(stages(config, dataset.size)[name], frozen, one)
    print(f"{name}: the step eats {eaten:.2f} a second", file=sys.stderr)
    return {
        "name": name,
        "size": dataset.size,
        "batch": batch,
        "pipeline_per_s": delivered,
        "step_per_s": eaten,
        "ratio": delivered / eaten,
    }


def _rate(once: Callable[[], Any]) -> float:
    """How many times a second."""
    start = time.perf_counter()
    for count in itertools.count(1):
        once()
        if (passed := time.perf_counter() - start) > SECONDS:
            return count / passed
    raise AssertionError


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| stage | size | batch | pipeline, a second | step, a second | ratio |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row['name']} | {row['size']} px | {row['batch']} | {row['pipeline_per_s']:.0f} | "
            f"{row['step_per_s']:.2f} | {row['ratio']:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--json", type=Path, help="where to write the numbers as well")
    flags = parser.parse_args()
    keep_freed_memory()
    rows = measure(flags.size)
    print(*_lines(rows), sep="\n")
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
