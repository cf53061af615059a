import copy
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from configs.lumierenet import lecture
from lumiere_jax import vgg
from lumiere_jax.commands import experiments
from lumiere_jax.commands.experiments import experiment
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.experiments import comparison, paper_and_ablation, trials
from lumiere_jax.systems.lumierenet.experiments.paper_and_ablation import (
    ablation_experiment,
    paper_experiment,
)
from lumiere_jax.systems.lumierenet.experiments.trials import (
    ablation_trials,
    changed,
    paper_trials,
)
from lumiere_jax.workflows.workdir_checks import checked


def test_the_trials_are_the_papers():
    every = {trial.name: trial for trial in paper_trials(Config(), Config())}
    lambdas = {
        name: (s.lambda0, s.lambda1, s.lambda2)
        for name in ("baseline-1", "baseline-2", "seqpix2pix")
        for s in [every[name].config.seqpix2pix]
    }
    assert lambdas == {
        "baseline-1": (0.0, 0.0, 0.0),
        "baseline-2": (0.05, 0.0, 0.0),
        "seqpix2pix": (0.05, 10.0, 10.0),
    }
    assert {t.config.blstm.window for t in every.values()} == {1, 5, 10, 15, 20, 30}
    # What two trials have in common is trained once.
    trained = [stage for trial in every.values() for stage in trial.trains]
    assert (trained.count("vae"), trained.count("blstm"), trained.count("seqpix2pix")) == (2, 7, 4)
    for trial in every.values():
        assert set(trial.trains) == set(trials.STAGES) or trial.links in every


def test_each_row_of_the_ablation_changes_one_stage_and_trains_it():
    whole, *rows = ablation_trials(lecture())
    assert asdict(whole.config) == asdict(lecture())
    for trial in rows:
        values, own = asdict(trial.config), asdict(lecture())
        different = [name for name, value in own.items() if values[name] != value]
        assert len(different) == 1 and trial.trains == (different[0],), trial.name
        assert trial.evaluated == (trial.links == "lecture") != bool(trial.measures)
        checked(trial.config)


def test_every_field_that_lecture_sets_has_a_row_of_the_ablation():
    paper, full = Config(), lecture()
    rows = [trial.config for trial in ablation_trials(full)]
    for stage in trials.STAGES:
        for name, value in vars(getattr(full, stage)).items():
            if value != getattr(getattr(paper, stage), name):
                assert any(getattr(getattr(row, stage), name) != value for row in rows), name


@pytest.mark.parametrize(
    "changes, different",
    [
        ({"figure": "drawn"}, "figure"),
        ({"figure": "plain drawn", "drawn_seed": 1}, "drawn_seed"),
        ({"figure": "plain drawn", "consent": {"who": "somebody else"}}, "consent"),
        ({"figure": "plain drawn", "size": 128}, "size"),
    ],
)
def test_plain_figures_are_of_the_same_footage(drawn, tiny, monkeypatch, changes, different):
    dataset = open_dataset(drawn)
    other = dataclasses.replace(dataset, **changes)
    plain = Path("plain")
    opened = {drawn: dataset, plain: other}
    monkeypatch.setattr(paper_and_ablation, "open_dataset", opened.__getitem__)
    with pytest.raises(UserError, match=rf"--plain=plain is not .* \(other {different}\)"):
        experiment(ablation_experiment(tiny(), plain), data=drawn, out=drawn.parent / "out")


def test_a_vae_without_a_loss_is_refused_before_anything_is_trained(drawn, tiny, tmp_path):
    with pytest.raises(UserError, match="leaves the VAE no loss"):
        experiment(ablation_experiment(tiny()), data=drawn, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_changed_config_is_a_copy_and_a_field_that_is_none_is_noticed():
    config = Config()
    before = copy.deepcopy(config)
    assert changed(config, "vae", steps=1).vae.steps == 1
    assert config == before
    with pytest.raises(AttributeError, match="seqpix2pix.lamda0"):
        changed(config, "seqpix2pix", lamda0=1.0)


@pytest.mark.parametrize(
    "clips, cut",
    [("a" * 10, 5), ("a" * 8 + "b" * 2, 8), ("aab" + "c" * 4, 3)],
)
def test_test_sets_are_whole_clips_or_the_halves_of_one(clips, cut):
    rows = [{"clip": clip} for clip in clips]
    first, second = comparison._test_sets(rows)
    assert first + second == rows and len(first) == cut


@pytest.mark.parametrize(
    "last, layers",
    [("3_1", ("relu1_1", "relu2_1", "relu3_1")), ("3_4", ("pool1", "pool2", "pool3"))],
)
def test_relus_stand_in_for_pools_that_the_weights_do_not_reach(monkeypatch, last, layers):
    whole = vgg.load_vgg19("random")
    known = vgg.CONVOLUTIONS[: vgg.CONVOLUTIONS.index(last) + 1]
    short = {key: whole[key] for key in ("mean", "std", *known)}
    monkeypatch.setattr(paper_and_ablation, "load_vgg", lambda config: short)
    assert paper_and_ablation.stand_in(Config()) == layers


@pytest.fixture(scope="module")
def out(tmp_path_factory, tiny, drawn, workdir):
    """The paper's experiments at their smallest: the full model and `lecture` are there already,
    but for their reports, and a second window is trained."""
    folder = tmp_path_factory.mktemp("experiments") / "out"
    for name in ("seqpix2pix", "lecture"):
        shutil.copytree(workdir, folder / "runs" / name, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        fewer(patch)
        experiment(paper_experiment(tiny(), tiny()), data=drawn, out=folder)
    return folder


def fewer(monkeypatch):
    wanted = ("seqpix2pix", "window-1", "lecture")
    monkeypatch.setattr(
        paper_and_ablation,
        "paper_trials",
        lambda *configs: [trial for trial in paper_trials(*configs) if trial.name in wanted],
    )


@pytest.mark.slow
def test_the_page_and_the_numbers_are_there(out):
    results = json.loads((out / "results.json").read_text())
    assert [row["window"] for row in results["figure_4a"]] == [1, 15]
    for row in results["figure_4a"]:
        assert row["train"] > 0 and row["held_out_variance"] > 0
    assert [row["name"] for row in results["table_1"]] == ["seqpix2pix", "lecture"]
    for row in results["table_1"]:
        metrics = results["measures"][row["name"]]["seqpix2pix"]
        halves = [half["mse"] for half in row["sets"]]
        assert halves[0] != halves[1]
        assert sum(halves) / 2 == pytest.approx(metrics["mse"], rel=0.02)
    page = (out / "index.html").read_text()
    for text in ("Figure 3", "Figure 4", "Figure 5", "Table 1", "SeqPix2Pix (paper)", "29.25"):
        assert text in page
    for name in page.split('src="')[1:]:
        assert (out / name.split('"')[0]).is_file()


@pytest.mark.slow
def test_the_ablation_has_a_page_too(out, tiny, drawn, tmp_path, monkeypatch):
    row = ("VAE without the weights of parts", "vae", {"mouth": 1.0})
    monkeypatch.setattr(trials, "ROWS", {"vae-no-parts": row})
    shutil.copytree(out / "runs" / "lecture", tmp_path / "runs" / "lecture")
    experiment(ablation_experiment(tiny()), data=drawn, out=tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert "What lecture adds" in page and "Table 1" not in page and "Figure 3" not in page
    assert "VAE without the weights of parts" in page
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["which"] == "ablation"
    assert set(results["measures"]["vae-no-parts"]) == {"vae"}
    both = [results["measures"][name]["vae"] for name in ("lecture", "vae-no-parts")]
    assert both[0]["psnr"] != both[1]["psnr"] and both[0].keys() == both[1].keys()


@pytest.mark.slow
def test_what_is_done_is_not_done_again(out, tiny, drawn, monkeypatch):
    fewer(monkeypatch)
    for module in (experiments, experiments.evaluate):
        name = "train" if module is experiments else "evaluate"
        monkeypatch.setattr(module, name, None)
    before = (out / "results.json").read_text()
    experiment(paper_experiment(tiny(), tiny()), data=drawn, out=out)
    assert (out / "results.json").read_text() == before


@pytest.mark.slow
def test_other_settings_data_or_kinds_are_refused(out, tiny, drawn, monkeypatch):
    fewer(monkeypatch)
    other = tiny()
    other.seqpix2pix.pixel = 7.0
    with pytest.raises(UserError, match=r"lecture was trained with seqpix2pix.pixel=50.0, not 7.0"):
        experiment(paper_experiment(tiny(), other), data=drawn, out=out)

    another = dataclasses.replace(open_dataset(drawn), consent={"who": "somebody else"})
    monkeypatch.setattr(experiments, "open_dataset", lambda folder: another)
    with pytest.raises(UserError, match=r"was trained on another dataset \(consent differ\)"):
        experiment(paper_experiment(tiny(), tiny()), data=drawn, out=out)

    monkeypatch.setattr(trials, "ROWS", {})
    with pytest.raises(UserError, match="holds the results of --which=paper"):
        experiment(ablation_experiment(tiny()), data=drawn, out=out)


def test_a_trial_that_was_stopped_goes_on_and_links_what_it_does_not_train(
    tmp_path, tiny, drawn, monkeypatch
):
    dataset = open_dataset(drawn)
    own = dataclasses.replace(dataset, folder=tmp_path / "plain")
    first, plain, *rest = ablation_trials(tiny(), own)
    row = next(trial for trial in rest if trial.name == "no-motion")
    calls, measured = [], []

    def train(*, config, data, workdir, stage):
        calls.append((workdir.name, stage, data))
        if len(calls) == 2:
            raise KeyboardInterrupt
        (workdir / stage).mkdir(exist_ok=True)

    def evaluate(*, workdir, data, split, out):
        measured.append((workdir.name, data))
        out.mkdir()
        (out / "metrics.json").touch()

    monkeypatch.setattr(experiments, "train", train)
    monkeypatch.setattr(experiments.evaluate, "evaluate", evaluate)
    with pytest.raises(KeyboardInterrupt):
        experiments.run([first, plain, row], dataset, tmp_path)
    for _ in range(2):
        experiments.run([first, plain, row], dataset, tmp_path)
    resumed = [("lecture", stage, drawn) for stage in trials.STAGES]
    apart = [("plain", stage, own.folder) for stage in trials.STAGES]
    assert calls == [*resumed[:2], *resumed, *apart, ("no-motion", "seqpix2pix", drawn)]
    assert measured == [("lecture", drawn), ("plain", own.folder), ("no-motion", drawn)]
    assert (tmp_path / "runs/no-motion/vae").samefile(tmp_path / "runs/lecture/vae")


ROOT = Path(__file__).parents[2]
# What Python runs at its start: two trials, a few steps each, in place of all that are told below.
SHORTER = """
from configs import lumierenet
from lumiere_jax.systems.lumierenet.experiments import paper_and_ablation, trials

smallest = lumierenet.tiny()


def tiny(config, triplets):
    for stage in trials.STAGES:
        own = getattr(config, stage)
        for name, value in vars(getattr(smallest, stage)).items():
            if name in ("steps", "batch", "code", "cells", "width", "warm_up"):
                setattr(own, name, value)


lumierenet.two_cores = tiny
trials.ROWS = {name: trials.ROWS[name] for name in ("no-motion", "no-narrow")}
every = paper_and_ablation.paper_trials
paper_and_ablation.paper_trials = lambda *configs: [every(*configs)[0], every(*configs)[-1]]
"""


def make_experiments(target, data, tmp_path, *arguments):
    """What `make TARGET` leaves, with real commands whose trials are fewer and shorter."""
    (tmp_path / "sitecustomize.py").write_text(SHORTER)
    python = Path(sys.executable).parent
    command = ["make", "--old-file=env", f"BIN={python}", target, f"DATA={data}", "VGG=random"]
    done = subprocess.run(
        [*command, f"OUT={tmp_path / 'out'}", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "out" / "index.html").is_file()
    return json.loads((tmp_path / "out" / "results.json").read_text())


@pytest.mark.slow
def test_make_runs_the_papers_experiments(drawn, tmp_path):
    results = make_experiments("paper", drawn, tmp_path, "TRIPLETS=2")
    assert results["which"] == "paper" and set(results["measures"]) == {"seqpix2pix", "lecture"}


@pytest.mark.slow
def test_make_runs_the_ablation(drawn, tmp_path):
    results = make_experiments("ablation", drawn, tmp_path, "TRIPLETS=2")
    assert results["which"] == "ablation"
    assert set(results["measures"]) == {"lecture", "no-motion", "no-narrow"}
    assert all("video" in measured for measured in results["measures"].values())


@pytest.mark.slow
def test_the_readmes_picture_and_tables_are_made_of_results(out, tmp_path):
    shutil.copytree(out, tmp_path / "out", symlinks=True)
    for name in ("baseline-1", "baseline-2"):
        (tmp_path / "out" / "runs" / name).symlink_to("seqpix2pix")
    script, picture = ROOT / "docs" / "make_picture.py", tmp_path / "paper.png"
    command = [sys.executable, script, "experiments", tmp_path / "out", picture]
    subprocess.run(command, check=True)
    assert picture.stat().st_size > 0
    command = [sys.executable, ROOT / "docs" / "make_tables.py", out]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "| `seqpix2pix` |" in said and "| `lecture` |" in said
