"""Train a system on a dataset: its stages in order, or one of them.

  python train.py --config=configs/lumierenet.py:small --data=data/ada --workdir=runs/ada
  python train.py --config=configs/temporal_gan.py:small --data=data/faces --workdir=runs/faces

A run that was stopped goes on where it was: give the same command again. Any field of a config can
be set: --config.seqpix2pix.steps=200. --initial=WORKDIR starts from the networks of another run,
such as one of more footage. Watch: tensorboard --logdir=runs/ada
"""

from absl import flags
from ml_collections import config_flags

from lumiere_jax.commands import cli
from lumiere_jax.errors import UserError

CONFIG = config_flags.DEFINE_config_file("config", None, "A config file and preset, FILE:PRESET.")
DATA = flags.DEFINE_string("data", None, "A dataset made by prepare.py.")
WORKDIR = flags.DEFINE_string("workdir", None, "Checkpoints and logs go here.")
MULTIHOST = flags.DEFINE_bool(
    "multihost",
    None,
    "This is one of several processes of a run. Under srun and mpirun it goes without saying.",
)
STAGE = flags.DEFINE_string("stage", "all", "all, or one of the system's stages.")
INITIAL = flags.DEFINE_string("initial", None, "A workdir whose networks new stages start from.")


def main() -> None:
    if CONFIG.value is None or not (DATA.value and WORKDIR.value):
        raise UserError("name --config, --data and --workdir (see --help).")
    from lumiere_jax.runtime import hosts

    hosts.start(MULTIHOST.value)
    from lumiere_jax.commands.flag_checks import run_train

    given = {"config": CONFIG.value, "data": DATA.value, "workdir": WORKDIR.value}
    run_train(**given, stage=STAGE.value, initial=INITIAL.value)
    hosts.say(f"{WORKDIR.value}: trained; speak with infer.py, measure with evaluate.py.")


if __name__ == "__main__":
    cli.run(main, interrupted="what was saved stays, and the same command goes on.")
