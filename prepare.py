"""Make a dataset: from footage of a lecturer, or of the lecturer that the project draws.

  python prepare.py --footage='talks/*.mp4' --consent=consent.toml --out=data/ada
  python prepare.py --synthetic --out=data/drawn

Footage is cut to a square, resampled to the dataset's frame rate and to 16 kHz, and each frame
gets a pose figure. Look at data/ada/preview.png before you train.
"""

from pathlib import Path

from absl import flags

from lumiere_jax.errors import UserError
from lumiere_jax.workflows import cli

FOOTAGE = flags.DEFINE_string("footage", None, "Clips with speech: a file or a quoted pattern.")
CONSENT = flags.DEFINE_string("consent", None, "The speaker's consent, a TOML file (see README).")
OUT = flags.DEFINE_string("out", None, "The dataset's folder, which must not hold one.")
FIGURE = flags.DEFINE_string("figure", "mediapipe", "Poses from mediapipe, densepose or openpose.")
EXPLICIT = flags.DEFINE_bool(
    "explicit", True, "Draw eyes, brows, lips, mouth and fingers; --noexplicit: not, as the paper."
)
POSES = flags.DEFINE_string("poses", None, "Results of DensePose or OpenPose: DIR/<clip's stem>/.")
CROP = flags.DEFINE_string("crop", None, "A square X,Y,SIDE of the picture; default: the centre.")
SIZE = flags.DEFINE_integer("size", None, "Pixels a side: 64 to 1024 [256; drawn: 128].")
FPS = flags.DEFINE_string("fps", "30", "Frames a second of the dataset.")
WORKERS = flags.DEFINE_integer("workers", 0, "Cores to use; 0: all.", lower_bound=0)
BEAM = flags.DEFINE_string(
    "beam_options", None, "Prepare through Apache Beam: its options, as runner=DirectRunner."
)
SYNTHETIC = flags.DEFINE_bool("synthetic", False, "Draw a lecturer instead of reading footage.")
MINUTES = flags.DEFINE_float("minutes", None, "Minutes of the drawn lecturer to train on.")
SEED = flags.DEFINE_integer("seed", 0, "Another seed draws another lecturer.")


def main() -> None:
    if not OUT.value or bool(FOOTAGE.value) == SYNTHETIC.value:
        raise UserError("name --out, and either --footage or --synthetic, not both (see --help).")
    for flag in (MINUTES, SEED) if FOOTAGE.value else (CONSENT, FIGURE, POSES, CROP, FPS, BEAM):
        if flag.present:
            kind = "--synthetic" if FOOTAGE.value else "--footage"
            raise UserError(f"--{flag.name} goes with {kind}: leave it out.")
    if BEAM.present and WORKERS.present:
        raise UserError("--workers are for this machine, --beam_options say where Beam works.")
    from lumiere_jax.workflows import prepare

    common = {"out": Path(OUT.value), "explicit": EXPLICIT.value}
    if SIZE.value is not None:
        common["size"] = SIZE.value
    if not FOOTAGE.value:
        dataset = prepare.prepare_synthetic(**common, minutes=MINUTES.value, seed=SEED.value)
    else:
        dataset = prepare.prepare_footage(
            **common,
            footage=FOOTAGE.value,
            consent=Path(CONSENT.value) if CONSENT.value else None,
            figure=FIGURE.value,
            poses=Path(POSES.value) if POSES.value else None,
            crop=CROP.value,
            fps=FPS.value,
            workers=WORKERS.value,
            beam_options=BEAM.value,
        )
    frames = ", ".join(f"{dataset.frames(split)} {split}" for split in ("train", "val", "test"))
    print(f"{OUT.value}: {frames} frames; look at {OUT.value}/preview.png before you train.")


if __name__ == "__main__":
    cli.run(main, interrupted="pieces of footage are kept, and the same command goes on.")
