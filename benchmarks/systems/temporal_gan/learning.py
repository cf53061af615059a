"""What a talking face's model learns in a minute.

It is `small` at the paper's width, and what is measured is of another face. From above, a sheet has
the still, the frames made of it, and the real ones.
"""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rounds import say
from timed_training import SEED, Scale, drawn, heard, judged, learn_for, said, write_sheet

from configs import temporal_gan as presets
from lumiere_jax.audio.front_ends import waveform
from lumiere_jax.drawn.scripts import FACES_FPS, drawn_faces, face_scripts
from lumiere_jax.outputs.mark import marked
from lumiere_jax.systems.temporal_gan.synthesis import animate
from lumiere_jax.systems.temporal_gan.system import SYSTEM
from lumiere_jax.training.stage import Batch

SIZE = 128
# Seconds of training, compiling included.
FULL, SHORT = 40.0, 18.0


def learn(scale: Scale, sheets: Path) -> None:
    """Trains the stage, and measures what a face says."""
    config, seconds = presets.small(), SHORT if scale.short else FULL
    c = config.animator
    c.width, c.patience = scale.width, 0
    if scale.short:
        c.code, c.cells, c.batch, c.frames = 16, 16, 2, 3
    first, second = said(scale)
    minutes = scale.takes * scale.seconds / 4 / 60
    *training, _, test = face_scripts(first, second, SEED, scale.takes + 2, minutes)
    scripts = [*training, test]
    every = drawn(scripts, drawn_faces, SIZE)
    windows = [heard(script, waveform(FACES_FPS)) for script in scripts]
    say(system="temporal_gan", setting=f"the losses of small, width {scale.width}")
    stage = SYSTEM.stages(config, every[0].frame.shape[1:3])["animator"]

    def batches(first: int) -> Iterator[Batch]:
        """Sequences of faces that train, each from a random frame on, with a random still."""
        for step in itertools.count(first):
            random = np.random.default_rng((SEED, step))
            chosen = random.integers(scale.takes, size=stage.batch)
            starts = [random.integers(len(every[i].frame) - c.frames + 1) for i in chosen]
            stills = [random.integers(len(every[i].frame)) for i in chosen]
            pairs = list(zip(chosen, starts, strict=True))
            yield {
                "frames": np.stack([every[i].frame[t : t + c.frames] for i, t in pairs]),
                "windows": np.stack([windows[i][t : t + c.frames] for i, t in pairs]),
                "still": np.stack([every[i].frame[t] for i, t in zip(chosen, stills, strict=True)]),
                "lengths": np.full(stage.batch, c.frames, np.int32),
            }

    with tempfile.TemporaryDirectory() as workdir:
        g = learn_for(seconds, stage, "G", batches, {}, Path(workdir))
    variables, known = {"animator": {"G": g}}, every[-1]
    still = known.frame[0]
    spoken = np.stack(list(animate(config, variables, still, windows[-1])))
    judged("temporal_gan", {"video": spoken}, known, ("still", still), aligned=True)
    stills = np.broadcast_to(still, spoken.shape)
    write_sheet(sheets, "temporal_gan", [stills, np.stack(list(marked(spoken))), known.frame])
