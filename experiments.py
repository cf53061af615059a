"""The paper's experiments on your own dataset, with the preset `lecture` beside them, as one page.

  python experiments.py --data=data/ada --out=runs/paper --config.vgg=vgg19.pth

Figure 3 (the VAE's reconstructions), Figure 4 (the BLSTM's losses by look-back window, and during
training), Figure 5 and Table 1 (Baseline 1, Baseline 2, SeqPix2Pix; lecture). Two cores take about
an hour for --scale=small: width 32, every frame a target, --triplets for each SeqPix2Pix, and
the paper's losses. --scale=full takes the presets as they are: an accelerator, hours of footage.
--which=ablation trains `lecture`, and `lecture` with one thing changed each, in place of the
paper's rows.

The same command goes on where it was stopped; what is done is not done again. OUT/index.html is
the page, OUT/results.json has the numbers, and OUT/runs/NAME are workdirs for infer.py.
"""

from pathlib import Path

from absl import flags

from lumiere_jax.errors import UserError
from lumiere_jax.workflows import cli

DATA = flags.DEFINE_string("data", None, "A dataset made by prepare.py.")
OUT = flags.DEFINE_string("out", None, "Runs, page and numbers go here.")
WHICH = flags.DEFINE_enum("which", "paper", ["paper", "ablation"], "What is to be compared.")
SCALE = flags.DEFINE_enum("scale", "small", ["small", "full"], "Two cores, or the presets' own.")
TRIPLETS = flags.DEFINE_integer("triplets", 1500, "SeqPix2Pix's triplets a run at small scale.")
VGG = flags.DEFINE_string("config.vgg", "download", "VGG-19 weights: a file, download or random.")
PLAIN = flags.DEFINE_string(
    "plain", None, "For the ablation: DATA's footage prepared with --noexplicit."
)
LAYERS = flags.DEFINE_list("config.vgg_layers", None, "Its layers; the paper's, or what there is.")


def main() -> None:
    if not (DATA.value and OUT.value):
        raise UserError("name --data and --out (see --help).")
    if TRIPLETS.value < 1:
        raise UserError(f"--triplets={TRIPLETS.value}: use 1 or more.")
    if PLAIN.value and WHICH.value != "ablation":
        raise UserError("--plain goes with --which=ablation: add that, or leave --plain out.")
    if VGG.value == "none":
        raise UserError(
            "--config.vgg=none: these experiments compare perceptual losses; name a file of VGG-19 "
            "weights, download or random."
        )
    from configs import lumierenet as presets
    from lumiere_jax.workflows.experiments import experiment

    paper, lecture = presets.paper(), presets.lecture()
    for config in (paper, lecture):
        if SCALE.value == "small":
            presets.two_cores(config, TRIPLETS.value)
        config.vgg = VGG.value
    experiment(
        paper=paper,
        lecture=lecture,
        data=Path(DATA.value),
        out=Path(OUT.value),
        which=WHICH.value,
        layers=tuple(LAYERS.value or ()),
        plain=Path(PLAIN.value) if PLAIN.value else None,
    )
    print(f"{OUT.value}/index.html")


if __name__ == "__main__":
    cli.run(main, interrupted="what was saved stays, and the same command goes on.")
