"""Turn a narration into a lecture video of the trained lecturer.

  python infer.py --workdir=runs/ada --audio=narration.wav --out=lecture.mp4

Any sound that PyAV reads, of any length. The video says that it is synthetic, in a corner of the
picture and in the file's metadata. An older video of that name is replaced when the new one is
whole.
"""

from pathlib import Path

from absl import flags

from lumiere_jax.errors import UserError
from lumiere_jax.workflows import cli

WORKDIR = flags.DEFINE_string(
    "workdir", None, "A workdir in which train.py has trained all stages."
)
AUDIO = flags.DEFINE_string("audio", None, "The narration.")
OUT = flags.DEFINE_string("out", None, "The video, an .mp4 file.")


def main() -> None:
    if WORKDIR.value is None or AUDIO.value is None or OUT.value is None:
        raise UserError("name --workdir, --audio and --out (see --help).")
    from lumiere_jax.workflows.infer import infer

    frames = infer(workdir=Path(WORKDIR.value), audio=Path(AUDIO.value), out=Path(OUT.value))
    print(f"{OUT.value}: {frames} frames, marked as synthetic.")


if __name__ == "__main__":
    cli.run(main)
