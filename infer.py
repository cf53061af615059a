"""Turn narrations into videos: of the trained lecturer, or of a face in a still picture.

  python infer.py --workdir=runs/ada --audio=narration.wav --out=lecture.mp4
  python infer.py --workdir=runs/ada --audio='talks/*.wav' --out=lectures
  python infer.py --verify=lecture.mp4

Any sound that PyAV reads, of any length. A quoted pattern makes a video of each narration in a
folder, spread over the GPUs or TPUs that there are. A video says that it is synthetic, in a corner
of the picture, in its pixels and in the metadata. An older one stays until the new one is whole.
A model of faces (configs/temporal_gan.py) speaks with the face of a still picture, --image=face.png
(only of someone who agreed to it); --paste puts it back into the whole picture.

--certificate=chain.pem --key=key.pem adds Content Credentials. --verify prints what any video says
of itself, and exits with 0 if it says that it is synthetic, else with 1.

--live speaks while it hears, a frame at a time, until the sound ends or Ctrl-C. --audio=- is raw
sound on standard input, 16-bit, mono, 16 kHz; --out=- (or a named pipe) is raw rgb24 pictures:

  ffmpeg -f pulse -i default -f s16le -ar 16000 -ac 1 - |
    python infer.py --workdir=runs/ada --audio=- --live --out=- |
    ffplay -f rawvideo -pixel_format rgb24 -video_size 128x128 -framerate 30 -

Give the workdir's size and frame rate, which "listening" names. --audio=alsa:default hears a device
that PyAV can open, --out=talk.mp4 keeps picture and sound. Frames whose sound is older than 0.1 s
show the last picture again. At the end it prints how long pictures took from their sound on.
"""

import sys

from absl import flags

from lumiere_jax.commands import cli

PRESETS = "ultrafast superfast veryfast faster fast medium slow slower veryslow".split()
flags.DEFINE_string("workdir", None, "A workdir with all of its stages trained.")
flags.DEFINE_string("audio", None, "A narration or a quoted pattern; live: - or a device.")
flags.DEFINE_string("out", None, "The video, an .mp4 file, or a folder for several.")
flags.DEFINE_integer(
    "sound_track", None, "Number of the sound track, from 1 [the one with speech].", 1
)
flags.DEFINE_enum("preset", "medium", PRESETS, "x264's: faster is larger or less exact.")
flags.DEFINE_string("image", None, "A picture of the face that speaks, PNG or JPEG.")
flags.DEFINE_string("consent", None, "The record of who agreed to --image being used, TOML.")
flags.DEFINE_bool("paste", False, "Show the whole picture, with the face put back.")
flags.DEFINE_bool("live", False, "Speak while listening, without delay.")
flags.DEFINE_string("certificate", None, "The signer's chain of certificates, PEM.")
flags.DEFINE_string("key", None, "The private key (PEM) of --certificate.")
cli.define_system_flags(lambda entry: entry.flags)
flags.DEFINE_string("verify", None, "A video: print what it says of itself, and stop.")


def main() -> None:
    from lumiere_jax.commands.flag_checks import run_infer

    sys.exit(run_infer(cli.given()))


if __name__ == "__main__":
    cli.run(main)
