"""Turn narrations into lecture videos of the trained lecturer.

  python infer.py --workdir=runs/ada --audio=narration.wav --out=lecture.mp4
  python infer.py --workdir=runs/ada --audio='talks/*.wav' --out=lectures
  python infer.py --verify=lecture.mp4

Any sound that PyAV reads, of any length. A quoted pattern makes a video of each narration in a
folder, spread over the GPUs or TPUs that there are. A video says that it is synthetic, in a corner
of the picture, in its pixels and in the metadata. An older one stays until the new one is whole.
--certificate=chain.pem --key=key.pem adds Content Credentials. --verify prints what any video says
of itself, and exits with 0 if it says that it is synthetic, else with 1.

--live speaks while it hears, a frame at a time, until the sound ends or Ctrl-C. --audio=- is raw
sound on standard input, 16-bit, mono, 16 kHz; --out=- (or a named pipe) is raw rgb24 pictures:

  ffmpeg -f pulse -i default -f s16le -ar 16000 -ac 1 - |
    python infer.py --workdir=runs/ada --audio=- --live --out=- |
    ffplay -f rawvideo -pixel_format rgb24 -video_size 128x128 -framerate 30 -

Give the workdir's size and frame rate; "listening" names them, and what came before it is left out.
--audio=alsa:default hears a device that PyAV can open, --out=talk.mp4 keeps picture and sound.
Loudness follows the last minute. Frames whose sound is more than 0.1 s old show the last picture
again. At the end it prints how long pictures took from their sound on.
"""

import sys
from pathlib import Path

from absl import flags

from lumiere_jax.errors import UserError
from lumiere_jax.workflows import cli

PRESETS = "ultrafast superfast veryfast faster fast medium slow slower veryslow".split()
WORKDIR = flags.DEFINE_string("workdir", None, "A workdir with all of its stages trained.")
AUDIO = flags.DEFINE_string("audio", None, "A narration or a quoted pattern; live: - or a device.")
OUT = flags.DEFINE_string("out", None, "The video, an .mp4 file, or a folder for several.")
PRESET = flags.DEFINE_enum("preset", "medium", PRESETS, "x264's: faster is larger or less exact.")
LIVE = flags.DEFINE_bool("live", False, "Speak while listening, without delay.")
CERTIFICATE = flags.DEFINE_string("certificate", None, "The signer's chain of certificates, PEM.")
KEY = flags.DEFINE_string("key", None, "The private key (PEM) of --certificate.")
VERIFY = flags.DEFINE_string("verify", None, "A video: print what it says of itself, and stop.")


def main() -> None:
    if VERIFY.value is not None:
        for flag in (WORKDIR, AUDIO, OUT, PRESET, LIVE, CERTIFICATE, KEY):
            if flag.present:
                raise UserError(f"--verify only looks at a video: leave --{flag.name} out.")
        from lumiere_jax.workflows.verify import verify

        sys.exit(0 if verify(Path(VERIFY.value)) else 1)
    if not (WORKDIR.value and AUDIO.value and OUT.value):
        raise UserError("name --workdir, --audio and --out (see --help).")
    if (CERTIFICATE.value is None) != (KEY.value is None):
        raise UserError("name --certificate and --key together, or neither.")
    given = {"workdir": Path(WORKDIR.value), "audio": AUDIO.value, "preset": PRESET.value}
    given |= {flag.name: Path(flag.value) for flag in (CERTIFICATE, KEY) if flag.value is not None}
    if LIVE.value:
        from lumiere_jax.workflows.live import live

        print(live(**given, out=OUT.value), file=sys.stderr)
    else:
        from lumiere_jax.workflows.infer import infer

        print(f"{OUT.value}: {infer(**given, out=Path(OUT.value))} frames, marked as synthetic.")


if __name__ == "__main__":
    cli.run(main)
