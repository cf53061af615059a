"""LumièreNet (Kim and Ganapathi 2019): P(y|x) = P(y|w) P(w|z) P(z|a), each factor a stage.

`vae` learns z ↔ w from pose figures, `blstm` a → z from audio windows and the VAE's codes,
`seqpix2pix` w → y from triplets of figures and frames. Figures are in [0, 1] for the VAE and
figures and frames in [-1, 1] for SeqPix2Pix; batches and results are uint8.
"""

from typing import Any

from lumiere_jax.systems.entry import Entry


def load() -> Any:
    """Imports the system."""
    from lumiere_jax.systems.lumierenet.system import SYSTEM

    return SYSTEM


ENTRY = Entry(
    name="lumierenet",
    learns="a lecturer: face, body, hands and room",
    presets={
        "lecture": "an accelerator",
        "paper": "its numbers alone",
        "small": "two cores",
        "demo": "the drawn lecturer",
        "tiny": "tests",
    },
    stages=("vae", "blstm", "seqpix2pix"),
    load=load,
)
