"""Names of folders and files through all commands: they work, or are refused before anything is."""

import json
import os
import runpy
import shutil
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from absl import flags
from ml_collections import config_flags
from names import NAMES, each_name

from lumiere_jax.commands import (
    cli,
    evaluate,
    experiments,
    flag_checks,
    infer,
    live,
    prepare,
    repeats,
    verify,
)
from lumiere_jax.commands.train import train
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.outputs.report import METRICS, PAGE
from lumiere_jax.runtime import compiled_programs
from lumiere_jax.systems.lumierenet.experiments import paper_and_ablation
from lumiere_jax.training import checkpoint

RATE, SECONDS = 10, 8
# Of those that libraries would misread, and of those that Python alone has to do with.
ODD = {name: NAMES[name] for name in ("up", "brackets", "star", "bytes", "line")}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, which is the working one too, with a folder `a` and one for a name with *."""
    for name in ("a", "aXb"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Called(Exception):
    """A workflow would have begun."""


@pytest.fixture
def called(monkeypatch):
    """What the commands hand to the workflows, in place of doing it."""
    given = {}

    def note(**arguments):
        given.update(arguments)
        raise Called

    whole = paper_and_ablation.ablation_experiment

    def ablation(lecture, plain, layers):
        given["plain"] = plain
        return whole(lecture, plain, layers)

    monkeypatch.setattr(paper_and_ablation, "ablation_experiment", ablation)
    monkeypatch.setattr(experiments, "experiment", lambda _, **places: note(**places))
    for module, name in (
        (prepare, "prepare_footage"),
        (prepare, "prepare_synthetic"),
        (infer, "infer"),
        (live, "live"),
        (repeats, "repeat"),
        (evaluate, "evaluate"),
    ):
        monkeypatch.setattr(module, name, note)
    monkeypatch.setattr("lumiere_jax.commands.train.train", note)
    monkeypatch.setattr(verify, "verify", lambda path: note(verify=path))
    return given


def asks(presets):
    """Each command's function, flags that are no paths, and those that are."""
    return {
        "prepare": (prepare.prepare, {"footage": "x"}, ("out", "consent", "poses", "clips")),
        "synthetic": (prepare.prepare, {"synthetic": True}, ("out",)),
        "infer": (
            flag_checks.run_infer,
            {"audio": "x"},
            ("workdir", "out", "image", "consent", "certificate", "key"),
        ),
        "live": (flag_checks.run_infer, {"audio": "-", "live": True}, ("workdir", "out")),
        "experiments": (
            lambda given: flag_checks.run_experiments(given, lambda name: presets),
            {"which": "ablation"},
            ("data", "out", "plain"),
        ),
        "repeats": (
            lambda given: flag_checks.run_experiments(given, lambda name: presets),
            {"config": ["FILE:PRESET"]},
            ("data", "out"),
        ),
        "train": (
            lambda given: flag_checks.run_train(config=None, **given),
            {},
            ("data", "workdir"),
        ),
        "evaluate": (
            flag_checks.run_evaluate,
            {"split": "val"},
            ("workdir", "data", "out", "embedding", "references", "hypotheses"),
        ),
        "verify": (flag_checks.run_infer, {}, ("verify",)),
    }


COMMANDS = [
    *("prepare", "synthetic", "infer", "live", "experiments"),
    *("repeats", "train", "evaluate", "verify"),
]


@pytest.mark.parametrize("typed, there", NAMES.values(), ids=list(NAMES))
@pytest.mark.parametrize("command", COMMANDS)
def test_a_flag_names_the_place_that_a_shell_would_take(
    home, called, presets, command, typed, there
):
    ask, plain, flags = asks(presets)[command]
    with pytest.raises(Called):
        ask({**plain, **dict.fromkeys(flags, typed)})
    assert {Path(called[flag]).absolute() for flag in flags} == {home / there}
    assert sorted(path.name for path in home.iterdir()) == ["a", "aXb"]


@pytest.mark.parametrize("typed", ["~nobodyhere/x", "l" * 256, "/".join(["l" * 99] * 31)])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_that_cannot_be_is_refused_and_nothing_made(home, called, presets, command, typed):
    ask, plain, flags = asks(presets)[command]
    for flag in flags:
        others = {other: "x" for other in flags if other != flag}
        with pytest.raises(UserError, match=f"--{flag}=.*(no user|too long)"):
            ask({**plain, **others, flag: typed})
    assert not called
    assert sorted(path.name for path in home.iterdir()) == ["a", "aXb"]


@pytest.mark.parametrize("typed, there", NAMES.values(), ids=list(NAMES))
def test_a_config_is_read_whatever_its_folder_is_called(
    home, called, presets, monkeypatch, typed, there
):
    (home / there).mkdir(parents=True, exist_ok=True)
    (home / there / "c.py").write_text(
        "def get_config(name): return CONFIG[name]\nCONFIG = {'x': {'y': 7}}"
    )
    argv = ["train.py", f"--config={typed}/c.py:x"]
    monkeypatch.delitem(sys.modules, "config_config", raising=False)
    fresh = flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, "", flag_values=fresh, sys_argv=argv)
    fresh(cli.with_config_expanded(argv))
    assert fresh.config == {"y": 7}
    with pytest.raises(Called):
        flag_checks.run_experiments(
            {"config": [f"{typed}/c.py:x"], "data": "a", "out": "b"}, lambda name: presets
        )
    (preset,) = called["presets"]
    path, _, name = preset.rpartition(":")
    assert runpy.run_path(path)["get_config"](name) == {"y": 7}


def test_a_dataset_for_whose_partial_folder_the_name_is_too_long(home, drawn):
    with pytest.raises(UserError, match="--out=.* is too long"):
        prepare.prepare({"synthetic": True, "size": 64, "out": f"new/{'l' * 250}"})
    assert not (home / "new").exists()


def write_clip(path):
    """Some seconds of a picture that changes, with sound."""
    with path.open("wb") as file, av.open(file, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = 96, 80, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        for t in range(RATE * SECONDS):
            picture = np.full((80, 96, 3), 3 * t, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            sound = np.sin(np.arange(1600) / (7 + t % 5), dtype=np.float32)[None]
            frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
            frame.sample_rate, frame.pts = 16_000, 1600 * t
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def write_poses(folder):
    """OpenPose's results of somebody who walks."""
    folder.mkdir(parents=True)
    for t in range(RATE * SECONDS):
        body = np.zeros((25, 3))
        body[[0, 1, 2, 5]] = [(48, 20, 1), (20 + t / 10, 50, 1), (30, 52, 1), (60, 52, 1)]
        people = [{"pose_keypoints_2d": body.ravel().tolist()}]
        (folder / f"{t:03}.json").write_text(json.dumps({"people": people}))


@each_name()
def test_footage_is_prepared_whatever_it_is_called(home, consent, typed, there):
    """Footage, poses, consent and dataset in a folder of that name; the clip has the name too."""
    folder = home / there
    stem = "talk" if len(there) > 200 else Path(there).name
    write_poses(folder / "poses" / stem)
    write_clip(folder / f"{stem}.mp4")
    shutil.copy(consent, folder / "consent.toml")
    dataset = prepare.prepare(
        {
            "footage": f"{typed}/*.mp4",
            "poses": f"{typed}/poses",
            "consent": f"{typed}/consent.toml",
            "out": f"{typed}/data",
            "figure": "openpose",
            "size": 64,
            "fps": str(RATE),
            "workers": 1,
        }
    )
    assert dataset.folder.absolute() == folder / "data"
    assert sum(dataset.frames(split) for split in ("train", "val", "test")) == RATE * SECONDS
    assert all(segment.clip.isprintable() for segment in dataset.segments)
    read = open_dataset(folder / "data")  # as any later run would
    for split in ("train", "val", "test"):
        assert len(read.records(split)) == read.frames(split)
    assert all(len(read.sound(segment, 3)) for segment in read.segments)
    assert sorted(os.listdir(folder)) == sorted(
        ["consent.toml", "data", "poses", f"{stem}.mp4"] + (["a"] if folder == home else [])
    )


@each_name(ODD)
def test_a_dataset_and_a_workdir_of_any_name_are_trained_on(home, drawn, tiny, typed, there):
    place = home / there
    place.mkdir()
    shutil.copytree(drawn, place / "data")
    config = tiny()
    config.vae.steps = 2
    train(config=config, data=Path(typed, "data"), workdir=Path(typed, "run"), stage="vae")
    assert checkpoint.latest_step(place.rename(home / "plain") / "run" / "vae") == 2


@pytest.mark.parametrize("typed, there", ODD.values(), ids=list(ODD))
def test_a_workdir_of_any_name_speaks(home, workdir, speech, typed, there):
    place = home / there
    shutil.copytree(workdir, place / "run")
    shutil.copy(speech, place / f"{Path(there).name}.wav")
    given = {"workdir": f"{typed}/run", "audio": f"{typed}/*.wav", "out": f"{typed}/videos"}
    assert flag_checks.run_infer(given) == 0
    (video,) = (place / "videos").iterdir()
    assert video.name == f"{Path(there).name}.mp4" and video.stat().st_size > 1000
    assert flag_checks.run_infer({"verify": f"{typed}/videos/{Path(there).name}.mp4"}) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["brackets", "bytes"])
def test_a_workdir_of_any_name_is_measured(home, workdir, drawn, name):
    _, there = NAMES[name]
    place = home / there
    shutil.copytree(workdir, place)
    shutil.copytree(drawn, place / "data")
    evaluate.evaluate(workdir=place, data=place / "data", out=place / "report")
    assert json.loads((place / "report" / METRICS).read_text())
    title = os.fsencode(there).decode(errors="backslashreplace")
    assert f"{title}: the test split" in (place / "report" / PAGE).read_text()


@pytest.mark.parametrize("typed, there", NAMES.values(), ids=list(NAMES))
def test_compiled_programs_are_kept_in_a_folder_of_any_name(home, monkeypatch, typed, there):
    for name in (compiled_programs.FOLDER, *compiled_programs.LIMITS):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("LUMIERE_JAX_CACHE", typed)
    compiled_programs.keep_compiled()
    place = os.environ[compiled_programs.FOLDER]
    assert not set("[]*?\\") & set(place)
    assert Path(place).resolve().parent == home / there / "compiled"


def test_nobodys_cache_is_refused(home, monkeypatch):
    monkeypatch.delenv(compiled_programs.FOLDER)
    monkeypatch.setenv("LUMIERE_JAX_CACHE", "~nobodyhere/cache")
    with pytest.raises(UserError, match="LUMIERE_JAX_CACHE=~nobodyhere/cache: there is no user"):
        compiled_programs.keep_compiled()
    assert not (home / "~nobodyhere").exists()
