"""A system's experiments on your own dataset, as one page; or any presets side by side, by several
seeds each.

  python experiments.py --data=data/ada --out=runs/paper --config.vgg=vgg19.pth

--system=lumierenet --which=paper: Figure 3 (the VAE's reconstructions), Figure 4 (the BLSTM's
losses by look-back window, and during training), Figure 5 and Table 1 (Baseline 1, Baseline 2,
SeqPix2Pix), with the preset `lecture` beside them. Two cores take about an hour for --scale=small:
width 32, every frame a target, --triplets for each SeqPix2Pix, and the paper's losses. --scale=full
takes the presets as they are: an accelerator, hours of footage.

--system=lumierenet --which=ablation: `lecture`, and `lecture` with one thing changed each.

--system=temporal_gan --which=ablation: `small` with parts left out, by --seeds seeds of 300 steps.

Presets by name, of any system, on the dataset's test split, means ± standard deviations:

  python experiments.py --data=data/faces --out=runs/faces --seeds=3 --steps=600 \\
    --config=configs/temporal_gan.py:small,configs/temporal_gan.py:small-static

The same command goes on where it was stopped; what is done is not done again. OUT/index.html is
the page, OUT/results.json has the numbers, and OUT/runs/NAME are workdirs for infer.py.
"""

import importlib

from absl import flags

from lumiere_jax.commands import cli
from lumiere_jax.systems.registry import ENTRIES

NAMES = {name: None for entry in ENTRIES.values() for name in entry.comparisons}

flags.DEFINE_string("data", None, "A dataset made by prepare.py.")
flags.DEFINE_string("out", None, "Runs, page and numbers go here.")
flags.DEFINE_enum("system", next(iter(ENTRIES)), [*ENTRIES], "The system that has the experiment.")
flags.DEFINE_enum("which", None, [*NAMES], "The experiment; by default the system's first.")
flags.DEFINE_list("config", None, "Presets to repeat, FILE:PRESET,FILE:PRESET,...")
flags.DEFINE_integer("seeds", 3, "Of presets: seeds that each is trained with.")
flags.DEFINE_integer("steps", None, "Of presets: steps of each stage; by default their own.")
cli.define_system_flags(lambda entry: entry.experiment_flags)


def main() -> None:
    from lumiere_jax.commands.flag_checks import run_experiments

    page = run_experiments(cli.given(), lambda name: importlib.import_module(f"configs.{name}"))
    print(page)


if __name__ == "__main__":
    cli.run(main, interrupted="what was saved stays, and the same command goes on.")
