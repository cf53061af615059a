"""Training from data that is kept in device memory."""

import json

import pytest

from lumiere_jax.commands.train import train
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.batches import device_dataset

STAGES = ("vae", "blstm", "seqpix2pix")


@pytest.fixture
def config(tiny):
    config = tiny()
    for stage in STAGES:
        getattr(config, stage).batch = 2
    return config


def measured(workdir):
    """Every number that was logged of every stage."""
    return {
        stage: [json.loads(x) for x in (workdir / stage / "log.jsonl").read_text().splitlines()]
        for stage in STAGES
    }


@pytest.mark.slow
def test_a_run_on_two_devices_is_the_pipelines_bit_for_bit(config, drawn, tmp_path, capsys):
    train(config=config, data=drawn, workdir=tmp_path / "fed")
    assert "kept" not in capsys.readouterr().out
    config.resident = True
    train(config=config, data=drawn, workdir=tmp_path / "kept")
    said = capsys.readouterr().out
    assert measured(tmp_path / "kept") == measured(tmp_path / "fed")
    for stage in STAGES:
        assert f"{stage}: 171 frames kept in device memory (" in said
    train(config=config, data=drawn, workdir=tmp_path / "kept")
    assert "kept" not in capsys.readouterr().out, "nothing is read where nothing is left to do"


def test_what_does_not_fit_is_refused_before_the_workdir_is_written(
    config, drawn, tmp_path, monkeypatch
):
    monkeypatch.setattr(device_dataset, "device_memory", lambda: 5_000_000)
    config.resident = True
    with pytest.raises(UserError, match=r"'seqpix2pix' takes 4\.5 MB, more than half of the 5\.0"):
        train(config=config, data=drawn, workdir=tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()
