"""The temporal GAN (Vougioukas, Petridis and Pantic 2018): a still and speech to a talking face.

One stage, `animator`: P(y|x, still), without a pose in between. Faces are aligned, in [-1, 1] for
the networks and uint8 in batches and results.
"""

from typing import Any

from lumiere_jax.systems.entry import Demo, Entry, Repeats

# Faces of the demo, the last of which speaks.
FACES = 50


def load() -> Any:
    """Imports the system."""
    from lumiere_jax.systems.temporal_gan.system import SYSTEM

    return SYSTEM


ENTRY = Entry(
    name="temporal_gan",
    learns="faces, of one person or of many, which speak from a still picture",
    presets={
        "paper": "an accelerator",
        "small": "two cores",
        "demo": "drawn faces",
        "tiny": "tests",
        "small-l1, small-frame, small-static": "small with parts left out",
    },
    stages=("animator",),
    load=load,
    repeats={
        "ablation": Repeats(
            presets=("small-l1", "small-frame", "small", "small-static"),
            steps=300,
        )
    },
    demo=Demo(
        video="talk.mp4",
        prepare=("--align=face", f"--speakers={FACES}", "--minutes=3"),
        infer=(f"--image={{data}}/stills/test-face-{FACES - 1}.png",),
    ),
)
