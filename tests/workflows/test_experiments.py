import copy
import json
from dataclasses import asdict

import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.lectures import open_dataset
from lumiere_jax.systems.lumierenet import Config
from lumiere_jax.workflows import experiments
from lumiere_jax.workflows.experiments import ablation_trials, changed, experiment, paper_trials


def test_the_trials_are_the_papers():
    trials = {trial.name: trial for trial in paper_trials(Config(), Config())}
    lambdas = {
        name: (s.lambda0, s.lambda1, s.lambda2)
        for name in ("baseline-1", "baseline-2", "seqpix2pix")
        for s in [trials[name].config.seqpix2pix]
    }
    assert lambdas == {
        "baseline-1": (0.0, 0.0, 0.0),
        "baseline-2": (0.05, 0.0, 0.0),
        "seqpix2pix": (0.05, 10.0, 10.0),
    }
    windows = {t.config.blstm.window for t in trials.values()}
    assert windows == {1, 5, 10, 15, 20, 30}
    # What two trials have in common is trained once.
    trained = [stage for trial in trials.values() for stage in trial.trains]
    assert (trained.count("vae"), trained.count("blstm"), trained.count("seqpix2pix")) == (2, 7, 4)
    for trial in trials.values():
        assert set(trial.trains) == set(experiments.STAGES) or trial.links in trials


def test_each_row_of_the_ablation_changes_something_of_seqpix2pix_alone(tiny):
    lecture = tiny()
    whole, *without = ablation_trials(lecture)
    assert asdict(whole.config) == asdict(lecture)
    assert len(without) >= 5
    for trial in without:
        values, own = asdict(trial.config), asdict(lecture)
        assert values.pop("seqpix2pix") != own.pop("seqpix2pix") and values == own


def test_a_field_that_is_none_is_noticed():
    with pytest.raises(AttributeError, match="seqpix2pix__lamda0"):
        changed(Config(), seqpix2pix__lamda0=1.0)


@pytest.fixture(scope="module")
def out(tmp_path_factory, tiny, drawn):
    """The paper's experiments with three windows, at their smallest."""
    folder = tmp_path_factory.mktemp("experiments") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "WINDOWS", (1, 15))
        experiment(paper=tiny(), lecture=tiny(), data=drawn, out=folder)
    return folder


def test_the_page_and_the_numbers_are_there(out):
    results = json.loads((out / "results.json").read_text())
    assert [row["window"] for row in results["figure_4a"]] == [1, 15]
    assert [row["name"] for row in results["table_1"]] == [
        "seqpix2pix",
        "baseline-1",
        "baseline-2",
        "lecture",
    ]
    for row in results["table_1"]:
        metrics = results["measures"][row["name"]]["seqpix2pix"]
        halves = [half["mse"] for half in row["sets"]]
        assert halves[0] != halves[1]
        assert sum(halves) / 2 == pytest.approx(metrics["mse"], rel=0.02)
    page = (out / "index.html").read_text()
    for text in ("Figure 3", "Figure 4", "Figure 5", "Table 1", "Baseline 1 (paper)", "29.25"):
        assert text in page
    for name in page.split('src="')[1:]:
        assert (out / name.split('"')[0]).is_file()


def test_what_is_done_is_not_done_again(out, tiny, drawn, monkeypatch):
    monkeypatch.setattr(experiments, "WINDOWS", (1, 15))
    monkeypatch.setattr(experiments, "train", None)
    monkeypatch.setattr(experiments.evaluate, "evaluate", None)
    before = (out / "results.json").read_text()
    experiment(paper=tiny(), lecture=tiny(), data=drawn, out=out)
    assert (out / "results.json").read_text() == before

    other = tiny()
    other.seqpix2pix.pixel = 7.0
    with pytest.raises(UserError, match="lecture was trained with other settings"):
        experiment(paper=tiny(), lecture=other, data=drawn, out=out)


def test_a_run_that_was_stopped_goes_on(tmp_path, tiny, drawn, monkeypatch):
    dataset = open_dataset(drawn)
    trial = ablation_trials(tiny())[0]
    evaluated = []
    monkeypatch.setattr(
        experiments.evaluate, "evaluate", lambda **given: evaluated.append(given["workdir"])
    )
    real, calls = experiments.train, []

    def stopped(**given):
        calls.append(given["stage"])
        if given["stage"] == "blstm" and calls.count("blstm") == 1:
            raise KeyboardInterrupt
        if given["stage"] != "seqpix2pix":
            real(**given)

    monkeypatch.setattr(experiments, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        experiments.run([trial], dataset, tmp_path)
    experiments.run([trial], dataset, tmp_path)
    assert calls == ["vae", "blstm", "vae", "blstm", "seqpix2pix"]
    assert evaluated == [tmp_path / "runs" / "lecture"]


def test_copies_are_deep():
    config = Config()
    before = copy.deepcopy(config)
    changed(config, vae__steps=1)
    assert config == before
