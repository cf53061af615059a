import dataclasses

import pytest

from lumiere_jax.commands.evaluate import _finders, evaluate
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.lectures import open_dataset, write_description
from lumiere_jax.systems.lumierenet.measures import EVALUATION


def test_without_the_pose_program_a_line_says_so_and_the_rest_is_measured(monkeypatch, capsys):
    def refuses():
        raise UserError("holistic.py cannot start.")

    monkeypatch.setattr("lumiere_jax.commands.evaluate.open_finder", refuses)
    with _finders(EVALUATION, drawn=False) as finders:
        assert finders is None
    assert "mouth's motion is not measured. holistic.py cannot" in capsys.readouterr().err
    with _finders(EVALUATION, drawn=True) as finders:
        assert finders is None
    assert not capsys.readouterr().err


def test_mistakes_are_named_before_anything_is_measured(workdir, drawn, tmp_path):
    out = tmp_path / "report"

    def refused(message, **changes):
        given = {"workdir": workdir, "data": drawn, "split": "test", "out": out, **changes}
        with pytest.raises(UserError, match=message):
            evaluate(**given)
        assert not out.exists()

    dataset = open_dataset(drawn)
    for name, changed in (
        ("larger", {"size": 128}),
        ("cut", {"segments": tuple(s for s in dataset.segments if s.split != "val")}),
    ):
        (tmp_path / name).mkdir()
        write_description(dataclasses.replace(dataset, folder=tmp_path / name, **changed))

    refused("--split=tset: choose one of train, val, test", split="tset")
    refused("holds no dataset", data=tmp_path / "nowhere")
    refused("is not a trained workdir", workdir=tmp_path / "nowhere")
    refused("trained with 64 px and .*larger has 128 px", data=tmp_path / "larger")
    refused("--split=val: .* has no frames", data=tmp_path / "cut", split="val")
