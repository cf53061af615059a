"""Writes what a release leaves behind, small: a dataset and a workdir of each system.

    python tests/releases/make_release.py tests/releases/release_0_3_0.tar.xz

Datasets are of the drawn lecturer, three seconds to train on and one to test, and a picture stands
for ten frames. The i-th array of each network in a workdir holds i / 1000, so that arrays are told
apart and compress to nothing. The dataset in release_0_1_0.tar.xz was drawn by that release in the
same way, six seconds long: its statistics are those of the workdir beside it.
"""

import contextlib
import dataclasses
import runpy
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import jax
import numpy as np
from record import restored

sys.path.insert(0, str(Path(__file__).parents[2]))

from lumiere_jax.commands.prepare import prepare
from lumiere_jax.commands.train import train
from lumiere_jax.drawn import lecturer
from lumiere_jax.runtime.worker_processes import one_by_one
from lumiere_jax.systems import registry
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows import drawn_dataset
from lumiere_jax.workflows.workdir import read_run

ROOT = Path(__file__).parents[2]
# Frames that share one picture.
STILL = 10
SECONDS = {"first": 3, "second": 1}
# Dataset, workdir and what is given to draw it, by system.
MADE = {
    "lumierenet": ("lectures", "ada", {"size": 64}),
    "temporal_gan": ("faces", "talk", {"align": "face", "speakers": 3}),
}


def main(path: Path) -> None:
    whole_narration, draw = drawn_dataset.read_narration, lecturer.draw_lecture

    def draw_slowly(*given, **more):
        for t, drawn_frame in enumerate(draw(*given, **more)):
            if t % STILL == 0:
                shown = {"frame": drawn_frame.frame, "figure": drawn_frame.figure}
            yield dataclasses.replace(drawn_frame, **shown)

    drawn_dataset.read_narration = lambda path: whole_narration(path)[: SECONDS[path.stem] * 16_000]
    lecturer.draw_lecture = draw_slowly
    drawn_dataset.side_by_side = lambda *_: contextlib.nullcontext(one_by_one)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for system, (data, workdir, given) in MADE.items():
            prepare({"out": str(folder / data), "synthetic": True, **given})
            (folder / data / "preview.png").unlink()
            config = runpy.run_path(str(ROOT / "configs" / f"{system}.py"))["get_config"]("tiny")
            train(config=config, data=folder / data, workdir=folder / workdir)
            number_arrays(folder / workdir)
        with tarfile.open(path, "w:xz", preset=9) as archive:
            archive.add(folder, "release", filter=without_owner)
    print(f"{path}: {path.stat().st_size:,} bytes")


def number_arrays(workdir: Path) -> None:
    """Puts i / 1000 into the i-th array of each stage's networks."""
    run = read_run(workdir)
    for name, stage in registry.of(run.config).stages(run.config, run.shape).items():
        folder = workdir / name
        state = restored(folder, stage)
        metadata = checkpoint.read_metadata(folder)
        leaves, tree = jax.tree.flatten(state.networks)
        numbered = [
            np.full_like(leaf, i / 1000) if leaf.dtype == np.float32 else leaf
            for i, leaf in enumerate(leaves, 1)
        ]
        shutil.rmtree(folder / checkpoint.CHECKPOINTS)
        for leftover in (*folder.glob("*.png"), *folder.glob("*.mp4")):
            leftover.unlink()
        shutil.rmtree(folder / "events", ignore_errors=True)
        with checkpoint.open_checkpoints(folder) as manager:
            checkpoint.save(
                manager, state.replace(networks=jax.tree.unflatten(tree, numbered)), metadata
            )


def without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Clears an entry's owner and time, so that the archive depends on the content alone."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main(Path(sys.argv[1]))
