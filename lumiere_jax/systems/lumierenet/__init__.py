"""LumièreNet (Kim and Ganapathi 2019): P(y|x) = P(y|w) P(w|z) P(z|a), each factor a stage.

`vae` learns z ↔ w from pose figures, `blstm` a → z from audio windows and the VAE's codes,
`seqpix2pix` w → y from triplets of figures and frames. Figures are in [0, 1] for the VAE and
figures and frames in [-1, 1] for SeqPix2Pix; batches and results are uint8.
"""

from collections.abc import Mapping
from typing import Any

from lumiere_jax.systems.entry import Entry, Flag


def load() -> Any:
    """Imports the system."""
    from lumiere_jax.systems.lumierenet.system import SYSTEM

    return SYSTEM


def experiment(name: str, presets: Any, options: Mapping[str, Any]) -> Any:
    """Makes the experiment of a name."""
    from lumiere_jax.systems.lumierenet.experiments import paper_and_ablation

    return paper_and_ablation.from_flags(name, presets, options)


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
    experiments=("paper", "ablation"),
    experiment=experiment,
    experiment_flags=(
        Flag(
            name="scale",
            help="Two cores, or the presets' own.",
            default="small",
            choices=("small", "full"),
        ),
        Flag(
            name="triplets",
            help="SeqPix2Pix's triplets a run at small scale.",
            kind="integer",
            default=1500,
        ),
        Flag(
            name="config.vgg",
            help="VGG-19 weights: a file, download or random.",
            default="download",
        ),
        Flag(
            name="config.vgg_layers", help="Its layers; the paper's, or what there is.", kind="list"
        ),
        Flag(
            name="plain",
            help="For the ablation: DATA's footage prepared with --noexplicit.",
            kind="path",
        ),
    ),
)
