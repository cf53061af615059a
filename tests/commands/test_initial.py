"""A training that starts from the networks of another run."""

import shutil

import jax
import numpy as np
import pytest

from lumiere_jax.commands.train import train
from lumiere_jax.errors import UserError
from lumiere_jax.systems import registry
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows.workdir import read_run


def variables_of(workdir, stage):
    run = read_run(workdir)
    return checkpoint.restore_frozen(
        workdir, registry.of(run.config).stages(run.config, run.shape)[stage]
    )


def started(tiny, drawn, workdir, **given):
    """A VAE after one step that changes next to nothing."""
    config = tiny()
    config.seed, config.vae.steps, config.vae.learning_rate = 7, 1, 1e-12
    train(config=config, data=drawn, workdir=workdir, stage="vae", **given)
    return variables_of(workdir, "vae")


def differences(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)


def test_a_stage_starts_from_another_runs_networks(tiny, drawn, workdir, tmp_path):
    before = variables_of(workdir, "vae")
    alone = started(tiny, drawn, tmp_path / "alone")
    after = started(tiny, drawn, tmp_path / "after", initial=workdir)
    assert differences(before, after) < 1e-6 < 1e-3 < differences(before, alone)
    said = checkpoint.read_metadata(tmp_path / "after" / "vae")["initial"]
    assert said["who"] == read_run(workdir).consent["who"]
    assert said["step"] == checkpoint.latest_step(workdir / "vae")


def test_what_cannot_be_started_from_is_named_before_anything_is_written(
    tiny, drawn, workdir, tmp_path
):
    config, other = tiny(), tiny()
    other.vae.code += 1
    shutil.copytree(workdir, tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "seqpix2pix" / "checkpoints")
    for wrong, initial, message in (
        (config, drawn, "is not a trained workdir"),
        (config, tmp_path / "part", "part has no trained 'seqpix2pix' stage: train it there first"),
        (
            other,
            workdir,
            f"{workdir} was trained with vae.code={config.vae.code}, not .* another --initial",
        ),
    ):
        with pytest.raises(UserError, match=message):
            train(config=wrong, data=drawn, workdir=tmp_path / "run", initial=initial)
        assert not (tmp_path / "run").exists()
