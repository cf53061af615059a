"""Make a dataset: from footage of a lecturer, or of the lecturer that the project draws.

  python prepare.py --footage='talks/*.mp4' --consent=consent.toml --out=data/ada
  python prepare.py --synthetic --out=data/drawn

Footage is cut to a square, resampled to the dataset's frame rate and to 16 kHz, and each frame
gets a pose figure. Frames that show nobody, stand still, fade or have no sound are left out;
data/ada/left_out.csv lists them. Look at data/ada/preview.png before you train.

--system says which system is to learn from the dataset. For configs/temporal_gan.py it is one of
aligned faces alone, of one speaker or many: a table of clips (CSV: clip,speaker,split) keeps
speakers apart. --align=face means --system=temporal_gan.

  python prepare.py --system=temporal_gan --footage='grid/*.mpg' --clips=clips.csv \\
    --consent=consent.toml --out=data/faces
"""

from absl import flags

from lumiere_jax.commands import cli

flags.DEFINE_string("footage", None, "Clips with speech: a file or a quoted pattern.")
flags.DEFINE_string("consent", None, "The speakers' consent, a TOML file (see README).")
flags.DEFINE_string("out", None, "The dataset's folder, which must not hold one.")
flags.DEFINE_string("figure", "mediapipe", "Poses from mediapipe, densepose or openpose.")
flags.DEFINE_bool(
    "explicit", True, "Draw eyes, brows, lips, mouth and fingers; --noexplicit: not, as the paper."
)
flags.DEFINE_string("poses", None, "Results of DensePose or OpenPose: DIR/<clip's name>/.")
flags.DEFINE_string("system", None, "The system that is to learn from it [lumierenet].")
flags.DEFINE_string("align", None, "face: aligned faces, three quarters as wide as high.")
flags.DEFINE_string("clips", None, "A table with each clip's speaker and split, CSV.")
flags.DEFINE_string("crop", None, "A square X,Y,SIDE of the picture; default: the centre.")
flags.DEFINE_integer("size", None, "Rows of pictures: 64 to 1024 [256; faces and drawn: 128].")
flags.DEFINE_string("fps", None, "Frames a second of the dataset [30; faces: 25].")
flags.DEFINE_integer(
    "sound_track", None, "Number of the sound track, from 1 [the one with speech].", 1
)
flags.DEFINE_integer("workers", 0, "Cores to use; 0: all.", lower_bound=0)
flags.DEFINE_string(
    "beam_options", None, "Prepare through Apache Beam: its options, as runner=DirectRunner."
)
flags.DEFINE_bool("synthetic", False, "Draw a lecturer instead of reading footage.")
flags.DEFINE_float("minutes", None, "Minutes of the drawn lecturer to train on.")
flags.DEFINE_integer("seed", 0, "Another seed draws another lecturer.")
flags.DEFINE_integer("speakers", None, "How many faces are drawn; the last two are not trained on.")


def main() -> None:
    from lumiere_jax.commands.prepare import prepare

    dataset = prepare(cli.given())
    frames = ", ".join(f"{dataset.frames(split)} {split}" for split in ("train", "val", "test"))
    print(f"{dataset.folder}: {frames} frames; look at {dataset.folder}/preview.png.")


if __name__ == "__main__":
    cli.run(main, interrupted="pieces of footage are kept, and the same command goes on.")
