"""What the drawn lecturer's model learns in two minutes.

It has the losses and widths of `lecture`, every frame as a target, random VGG-19 features and the
rates of `small` for the VAE and the BLSTM. From above, a sheet has the real figures, those that
were heard, the frames made of the real figures, those made of what was heard, and the real frames.
"""

import functools
import itertools
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rounds import say
from timed_training import SEED, Scale, drawn, heard, judged, learn_for, said, write_sheet

from configs import lumierenet as presets
from lumiere_jax import vgg
from lumiere_jax.audio.features import normalise
from lumiere_jax.audio.frame_times import RATE, frames_within
from lumiere_jax.audio.front_ends import log_mel
from lumiere_jax.codes.recurrent import window_steps
from lumiere_jax.drawn.scripts import FPS, Script, drawn_lecture
from lumiere_jax.inputs.batches import device_dataset
from lumiere_jax.inputs.batches.example_order import shuffled_indices
from lumiere_jax.outputs.mark import marked
from lumiere_jax.runtime.inference_batches import in_batches
from lumiere_jax.systems.gathering import gathering
from lumiere_jax.systems.lumierenet import device_data
from lumiere_jax.systems.lumierenet.batches import MEMORY
from lumiere_jax.systems.lumierenet.feed import NETWORKS
from lumiere_jax.systems.lumierenet.seqpix2pix import render
from lumiere_jax.systems.lumierenet.seqpix2pix_losses import generator
from lumiere_jax.systems.lumierenet.synthesis import synthesise
from lumiere_jax.systems.lumierenet.system import SYSTEM
from lumiere_jax.systems.lumierenet.vae import encode, vae_network

# Seconds of training, compiling included.
FULL = {"vae": 30.0, "blstm": 10.0, "seqpix2pix": 80.0}
SHORT = {"vae": 4.0, "blstm": 2.0, "seqpix2pix": 9.0}


def learn(scale: Scale, sheets: Path) -> None:
    """Trains the three stages, and measures what they say."""
    config, size = presets.lecture(), 64 if scale.short else 256
    seconds = SHORT if scale.short else FULL
    config.vgg, config.seqpix2pix.width, config.seqpix2pix.stride = "random", scale.width, 1
    config.vae.learning_rate, config.blstm.learning_rate = 1e-3, 5e-4
    config.blstm.dispatch = 8  # a step is shorter than its call
    scripts = _scripts(scale)
    *takes, test = drawn(scripts, drawn_lecture, size)
    energies = [heard(script, log_mel(FPS)) for script in scripts]
    mean, std = (f(np.concatenate(energies[:-1]), axis=0) for f in (np.mean, np.std))
    *rows, test_rows = [normalise(one, mean, std) for one in energies]
    frames, figures, keypoints = (
        np.concatenate([getattr(take, name) for take in takes])
        for name in ("frame", "figure", "keypoints")
    )
    rows_of = lambda pictures: pictures.reshape(-1, size, 3 * size)  # noqa: E731
    ends = np.cumsum([0, *(len(take.frame) for take in takes)])
    spans = list(itertools.pairwise(ends.tolist()))
    setting = f"the losses of lecture, width {scale.width}, random VGG-19, every frame a target"
    say(system="lumierenet", setting=setting)
    stages, every = SYSTEM.stages(config, (size, size)), np.arange(ends[-1])
    frozen: dict[str, Any] = {"vgg": vgg.load_vgg19("random")}
    with tempfile.TemporaryDirectory() as workdir:

        def trained(name: str, data: device_dataset.Resident, items: np.ndarray) -> Any:
            stage, network = gathering(stages[name]), NETWORKS[name]
            batches = lambda first: shuffled_indices(items, stage.batch, SEED, first)  # noqa: E731
            given = frozen | {"data": jax.device_put(data)}
            return learn_for(seconds[name], stage, network, batches, given, Path(workdir))

        known = {"figure": rows_of(figures), "keypoints": keypoints}
        vae = frozen["vae"] = trained("vae", device_data.of_figures(known), every)
        means = jax.jit(functools.partial(encode, vae_network(config, size), vae))
        codes = in_batches(means, 64, figures)
        b = config.blstm
        steps = [start + window_steps(stop - start, b.window, b.delay) for start, stop in spans]
        windows = device_data.windows(np.concatenate(rows), np.concatenate(steps), codes)
        blstm = trained("blstm", windows, every)
        # Triplets do not look across the ends of takes.
        items = [np.arange(start + MEMORY, stop) for start, stop in spans]
        triplets = device_data.of_triplets({**known, "frame": rows_of(frames)})
        g = trained("seqpix2pix", triplets, np.concatenate(items))
    variables = {"vae": {"vae": vae}, "blstm": {"blstm": blstm}, "seqpix2pix": {"G": g}}
    spoken = synthesise(config, size, variables, [test_rows])
    spoken_figures, spoken_frames = map(np.stack, zip(*spoken, strict=True))
    rendered = jax.jit(functools.partial(render, generator(config, size), g))
    made = {"seqpix2pix": in_batches(rendered, 8, test.figure), "video": spoken_frames}
    mean_frame = np.round(frames.mean(0)).astype(np.uint8)
    judged("lumierenet", made, test, ("mean_frame", mean_frame), aligned=False)
    synthetic = [np.stack(list(marked(frames))) for frames in made.values()]
    write_sheet(sheets, "lumierenet", [test.figure, spoken_figures, *synthetic, test.frame])


def _scripts(scale: Scale) -> list[Script]:
    """Takes of the first narration, each from another place in it on, and one of the second."""
    first, second = said(scale)
    takes = [np.roll(first, -i * len(first) // scale.takes) for i in range(scale.takes)]
    voices = [*(take[: scale.seconds * RATE] for take in takes), second]
    return [
        Script(f"take-{i}", SEED, voice, i, (("train", 0, frames_within(len(voice), FPS)),))
        for i, voice in enumerate(voices)
    ]
