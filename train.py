"""Train a lecturer's model: the VAE of pose figures, then the BLSTM and SeqPix2Pix; or a model of
faces, whose only stage is the animator.

  python train.py --config=configs/lumierenet.py:small --data=data/ada --workdir=runs/ada
  python train.py --config=configs/temporal_gan.py:small --data=data/faces --workdir=runs/faces

A run that was stopped goes on where it was: give the same command again. Presets of
configs/lumierenet.py: lecture (an accelerator), paper (its numbers alone), small (two cores), demo
(the drawn lecturer), tiny (tests). Of configs/temporal_gan.py: paper (an accelerator), small, demo
(drawn faces), tiny; -l1, -frame or -static behind one leaves parts of it out. Any field can be set:
--config.seqpix2pix.steps=200. Watch: tensorboard --logdir=runs/ada
"""

from absl import flags
from ml_collections import config_flags

from lumiere_jax.errors import UserError
from lumiere_jax.workflows import cli

CONFIG = config_flags.DEFINE_config_file("config", None, "A config file and preset, FILE:PRESET.")
DATA = flags.DEFINE_string("data", None, "A dataset made by prepare.py.")
WORKDIR = flags.DEFINE_string("workdir", None, "Checkpoints and logs go here.")
MULTIHOST = flags.DEFINE_bool(
    "multihost",
    None,
    "This is one of several processes of a run. Under srun and mpirun it goes without saying.",
)
STAGE = flags.DEFINE_string("stage", "all", "One of all, vae, blstm, seqpix2pix; faces: animator.")


def main() -> None:
    if CONFIG.value is None or not (DATA.value and WORKDIR.value):
        raise UserError("name --config, --data and --workdir (see --help).")
    from lumiere_jax.training import hosts

    hosts.start(MULTIHOST.value)
    from lumiere_jax.workflows.asked import trained

    trained(config=CONFIG.value, data=DATA.value, workdir=WORKDIR.value, stage=STAGE.value)
    hosts.say(f"{WORKDIR.value}: trained; speak with infer.py, measure with evaluate.py.")


if __name__ == "__main__":
    cli.run(main, interrupted="what was saved stays, and the same command goes on.")
