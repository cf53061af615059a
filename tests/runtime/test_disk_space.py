"""Room on the disk: what is said beforehand holds, and what happens meanwhile is a sentence."""

import errno
import os
import shutil
from pathlib import Path

import jax
import pytest

from lumiere_jax.commands import infer as speaking
from lumiere_jax.commands import train as training
from lumiere_jax.errors import UserError, readable_bytes
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.inputs.dataset.segments import SPLITS
from lumiere_jax.runtime import disk_space
from lumiere_jax.systems.lumierenet import system
from lumiere_jax.systems.lumierenet.system import stages
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows import disk_estimates
from lumiere_jax.workflows.drawn_dataset import prepare_synthetic
from lumiere_jax.workflows.previews import SHORTEST


@pytest.fixture
def only(monkeypatch):
    """Leaves a disk so many free bytes."""

    def leave(free):
        usage = shutil.disk_usage("/")._replace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    return leave


def bytes_in(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_checkpoints_take_more_than_the_least_and_no_more_than_the_most(workdir, tiny):
    for name, stage in stages(tiny(), 64).items():
        if name == "blstm":
            continue  # some kilobytes, most of which are not numbers
        least, most = disk_estimates.checkpoint_bytes([stage])
        newest = workdir / name / checkpoint.CHECKPOINTS / str(stage.steps)
        assert least < bytes_in(newest) < most / 3 * 1.01


@pytest.mark.slow
def test_a_workdir_takes_no_more_than_is_said(drawn, tiny, tmp_path):
    """With clips, and TensorBoard's events."""
    config = tiny()
    config.vae.steps = SHORTEST
    training.train(config=config, data=drawn, workdir=tmp_path / "run", stage="vae")
    least, most = disk_estimates.training_bytes([stages(config, 64)["vae"]], 64)
    assert len(list(tmp_path.glob("run/vae/clips/*.mp4"))) > 4
    assert least < bytes_in(tmp_path / "run") < most


def test_a_dataset_takes_more_than_the_least_and_half_of_the_most(drawn):
    dataset = open_dataset(drawn)
    frames = sum(map(dataset.frames, SPLITS))
    least, most = disk_estimates.dataset_bytes(frames, dataset.size, dataset.fps, dataset.columns)
    assert least < bytes_in(drawn) < most / 2


def test_room_is_that_of_the_nearest_folder_that_is_there(tmp_path, only):
    assert disk_space.check_space(tmp_path / "new" / "deep", 1) > 0
    only(99)
    with pytest.raises(UserError, match="new has 0.0 MB of free disk, and this takes 2.5 GB at"):
        disk_space.check_space(tmp_path / "new", 2_500_000_000)


def test_train_asks_before_weights_are_fetched_and_says_how_much(
    drawn, tiny, tmp_path, only, monkeypatch, capsys
):
    def fetched(config):
        raise AssertionError("the weights came first")

    monkeypatch.setattr(system, "load_vgg", fetched)
    only(1_000_000)
    with pytest.raises(UserError, match="run has 1.0 MB of free disk.*make room"):
        training.train(config=tiny(), data=drawn, workdir=tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())
    only(10_000_000)
    with pytest.raises(AssertionError, match="weights"):
        training.train(config=tiny(), data=drawn, workdir=tmp_path / "run")
    said = capsys.readouterr().out
    most = disk_estimates.training_bytes(stages(tiny(), 64).values(), 64)[1]
    assert (
        f"warning: {tmp_path}/run: up to {readable_bytes(most)} to write, 10.0 MB are free" in said
    )


def test_nothing_is_asked_for_a_run_that_is_done(workdir, drawn, tiny, only):
    only(0)
    training.train(config=tiny(), data=drawn, workdir=workdir)


def test_prepare_and_infer_ask_before_they_write(workdir, tmp_path, speech, only):
    only(100)
    with pytest.raises(UserError, match="data has 0.0 MB of free disk"):
        prepare_synthetic(out=tmp_path / "data", minutes=0.1, size=64)
    with pytest.raises(UserError, match="of free disk"):
        speaking.infer(workdir=workdir, audio=speech, out=tmp_path / "lecture.mp4")
    assert [path.name for path in tmp_path.iterdir()] == [speech.name]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_fills_up_is_named_in_whichever_words_it_is_said(tmp_path, code):
    for error in (OSError(code, "none"), ValueError(f"key/0: {os.strerror(code)} [{code}]")):
        with pytest.raises(UserError, match=f"{tmp_path} cannot be written, the disk is full"):
            with disk_space.written_into(tmp_path):
                raise error


def test_a_folder_that_is_gone_is_named_whatever_was_raised(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(UserError, match="run is gone .ValueError.: bring its disk back"):
        with disk_space.written_into(folder):
            folder.rmdir()
            raise ValueError("whatever a library says")


def test_a_folder_of_the_disk_below_is_not_the_one_that_was_written_into(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    with pytest.raises(UserError, match=f"{folder} is gone .another is in its place.:"):
        with disk_space.written_into(folder):
            folder.rename(tmp_path / "the disk")
            folder.mkdir()


def test_files_that_go_from_a_folder_that_stays_are_said_and_those_of_others_are_not(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(UserError, match=f"{folder} is gone, or files of it are .No such file"):
        with disk_space.written_into(folder):
            (folder / "parts" / "one").write_text("")
    with pytest.raises(FileNotFoundError, match="others"):
        with disk_space.written_into(folder):
            (tmp_path / "others").read_text()


@pytest.mark.parametrize("code", [errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.EACCES])
def test_a_network_disk_that_cannot_be_asked_is_gone(tmp_path, monkeypatch, code):
    whole, asked = Path.stat, []

    def stat(path, **more):
        if asked and path == tmp_path:
            raise OSError(code, os.strerror(code), str(path))
        return whole(path, **more)

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(UserError, match=f"{tmp_path} is gone"):
        with disk_space.written_into(tmp_path):
            asked.append(True)
    asked.clear()


def test_a_training_ends_where_its_folder_is_no_longer_the_one_it_began_in(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    steps = disk_space.while_folder_stays(iter(range(9)), folder)
    assert next(steps) == 0
    with pytest.raises(UserError, match=f"{folder} is gone .another is in its place.:"):
        with disk_space.written_into(folder):
            folder.rename(tmp_path / "the disk")
            folder.mkdir()  # as Orbax would
            next(steps)


def test_defects_and_ctrl_c_are_not_disguised(tmp_path):
    for error in (ZeroDivisionError, KeyboardInterrupt, jax.errors.JaxRuntimeError):
        with pytest.raises(error), disk_space.written_into(tmp_path):
            raise error("ours")


def test_why_a_folder_cannot_be_asked_for_is_said(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(UserError, match="run is gone .Too many levels of symbolic links"):
        with disk_space.written_into(folder):
            items = disk_space.while_folder_stays(iter(range(3)), folder)
            next(items)
            folder.rmdir()
            folder.symlink_to(folder)
            next(items)
