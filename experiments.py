"""LumièreNet's experiments on your own dataset, with the preset `lecture` beside them, as one page;
or any presets side by side, by several seeds each.

  python experiments.py --data=data/ada --out=runs/paper --config.vgg=vgg19.pth

Figure 3 (the VAE's reconstructions), Figure 4 (the BLSTM's losses by look-back window, and during
training), Figure 5 and Table 1 (Baseline 1, Baseline 2, SeqPix2Pix; lecture). Two cores take about
an hour for --scale=small: width 32, every frame a target, --triplets for each SeqPix2Pix, and
the paper's losses. --scale=full takes the presets as they are: an accelerator, hours of footage.
--which=ablation trains `lecture`, and `lecture` with one thing changed each, in place of the
paper's rows.

Presets by name, of any system, on the dataset's test split, means ± standard deviations:

  python experiments.py --data=data/faces --out=runs/faces --seeds=3 --steps=600 \\
    --config=configs/temporal_gan.py:small,configs/temporal_gan.py:small-static

The same command goes on where it was stopped; what is done is not done again. OUT/index.html is
the page, OUT/results.json has the numbers, and OUT/runs/NAME are workdirs for infer.py.
"""

from absl import flags

from lumiere_jax.commands import cli

flags.DEFINE_string("data", None, "A dataset made by prepare.py.")
flags.DEFINE_string("out", None, "Runs, page and numbers go here.")
flags.DEFINE_enum("which", "paper", ["paper", "ablation"], "What is to be compared.")
flags.DEFINE_enum("scale", "small", ["small", "full"], "Two cores, or the presets' own.")
flags.DEFINE_integer("triplets", 1500, "SeqPix2Pix's triplets a run at small scale.")
flags.DEFINE_string("config.vgg", "download", "VGG-19 weights: a file, download or random.")
flags.DEFINE_list("config.vgg_layers", None, "Its layers; the paper's, or what there is.")
flags.DEFINE_string("plain", None, "For the ablation: DATA's footage prepared with --noexplicit.")
flags.DEFINE_list("config", None, "Presets to repeat, FILE:PRESET,FILE:PRESET,...")
flags.DEFINE_integer("seeds", 3, "With --config: how often each is trained.")
flags.DEFINE_integer("steps", None, "With --config: steps of each stage; the presets' own.")


def main() -> None:
    from configs import lumierenet as presets
    from lumiere_jax.commands.from_flags import run_experiments

    print(run_experiments(cli.given(), presets))


if __name__ == "__main__":
    cli.run(main, interrupted="what was saved stays, and the same command goes on.")
