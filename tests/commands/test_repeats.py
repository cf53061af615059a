"""Presets by several seeds: what is trained, what comes out, and what is refused."""

import itertools
import json
from pathlib import Path

import pytest

from lumiere_jax.commands import experiments
from lumiere_jax.commands.repeats import repeat
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.outputs.repeats_page import spread
from lumiere_jax.systems.registry import ENTRIES

# A config that its system cannot fit to a dataset.
NO_BATCH = """
from lumiere_jax.systems.temporal_gan.config import Config


def get_config(preset):
    config = Config()
    config.animator.batch = 0
    return config
"""
PRESETS = Path(__file__).parents[2] / "configs" / "lumierenet.py"


@pytest.fixture
def measured(monkeypatch):
    """Training and measuring, told and not done; a run's PSNR is 20 and its seed."""
    told = []

    def train(*, config, data, workdir, stage):
        told.append((workdir.name, config.seed, stage, getattr(config, stage).steps))

    def evaluate(*, workdir, data, split, out):
        assert split == "test"
        seed = int(workdir.name.rpartition("-")[2])
        pictures = {name: {"psnr": 20.0 + seed} for name in ("vae", "blstm", "seqpix2pix")}
        out.mkdir()
        values = {**pictures, "blstm": {"mse": 0.5}, "video": {"mouth_correlation": None}}
        if seed:  # as where the mouth's estimator could not start
            values["video"]["flicker"] = 0.1
        (out / "metrics.json").write_text(json.dumps(values))

    monkeypatch.setattr(experiments, "train", train)
    monkeypatch.setattr(experiments.evaluate, "evaluate", evaluate)
    return told


def test_each_preset_is_trained_by_each_seed_and_only_once(measured, drawn, tmp_path):
    given = {"presets": [f"{PRESETS}:tiny", f"{PRESETS}:demo"], "data": drawn, "out": tmp_path}
    repeat(**given, seeds=2, steps=7)
    stages = ENTRIES["lumierenet"].stages
    seeded = itertools.product(("tiny", "demo"), (0, 1), stages)
    runs = [(f"{name}-{seed}", seed, stage, 7) for name, seed, stage in seeded]
    assert measured == runs
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["table"]["tiny"]["vae"]["psnr"] == [20.5, pytest.approx(0.5**0.5)]
    assert results["table"]["demo"]["video"] == {"mouth_correlation": None, "flicker": None}
    page = (tmp_path / "index.html").read_text()
    assert "20.50 ± 0.71" in page and "over 2 seeds" in page
    # The real row and the figures once, what was made for each preset.
    assert page.count("<tr><th>synthesised from the audio: ") == 2
    assert page.count("<tr><th>real</th>") == 1
    repeat(**given, seeds=2, steps=7)
    assert measured == runs


def test_one_seed_has_no_spread():
    assert spread([3.0]) == (3.0, None)
    assert spread([3, None]) is None
    assert spread([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"seeds": 0}, "--seeds=0: use 1 to 100"),
        ({"steps": 0}, "--steps=0: use 1 or more"),
        ({"presets": ["tiny"]}, "--config=tiny cannot be read .name it as FILE:PRESET"),
        ({"presets": ["none.py:tiny"]}, "none.py:tiny cannot be read .*No such file"),
        ({"presets": [f"{PRESETS}:huge"]}, "there is no preset 'huge'"),
        ({"presets": ["plain.py:tiny"]}, "gives no config of a system"),
        ({"presets": ["empty.py:tiny"]}, "animator.batch=0"),
        ({"presets": [f"{PRESETS}:tiny"] * 2}, "name presets once, all of one system"),
        (
            {"presets": [f"{PRESETS}:tiny", f"{PRESETS.with_name('temporal_gan.py')}:demo"]},
            "name presets once, all of one system",
        ),
        (
            {"presets": [f"{PRESETS.with_name('temporal_gan.py')}:tiny"]},
            "is of lectures, which 'temporal_gan' is not made for",
        ),
    ],
)
def test_wrong_uses_are_one_sentence(measured, drawn, tmp_path, changes, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.py").write_text("def get_config(preset): return {}")
    (tmp_path / "empty.py").write_text(NO_BATCH)
    given = {"presets": [f"{PRESETS}:tiny"], "data": drawn, "out": tmp_path / "out"}
    with pytest.raises(UserError, match=message):
        repeat(**{**given, **changes})
    assert not measured and not (tmp_path / "out").exists()


def test_a_datasets_folder_is_not_written_into(measured, drawn):
    before = open_dataset(drawn)
    with pytest.raises(UserError, match="is a dataset's folder"):
        repeat(presets=[f"{PRESETS}:tiny"], data=drawn, out=drawn)
    assert open_dataset(drawn).folder == before.folder and not measured
