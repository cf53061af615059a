"""A disk that is full, or taken away, under train.py."""

import shutil

import pytest
from torture.disk import STEPS, emptied, kept, mounted, wrong_with
from torture.processes import start, wait_until
from torture.train_kills import flags_of, whole_steps


@pytest.mark.slow
def test_the_last_checkpoint_outlasts_a_disk_that_is_full(workdir, drawn, quick, tmp_path):
    copy = shutil.copytree(workdir, tmp_path / "run")
    before = whole_steps(copy)
    flags = [*flags_of(drawn, copy, STEPS), "--stage=vae"]
    run = start(tmp_path, "train.py", *flags, limit=500_000, **quick)
    assert not wrong_with(run, says="the disk is full")
    assert not kept(copy, drawn, before)


@pytest.mark.slow
def test_a_workdir_that_is_removed_under_a_training_is_a_sentence(drawn, quick, tmp_path):
    flags = [*flags_of(drawn, tmp_path / "run", {**STEPS, "vae": 100_000}), "--stage=vae"]
    run = start(tmp_path, "train.py", *flags, **quick)
    assert wait_until(lambda: whole_steps(tmp_path / "run"), run), run.said
    emptied(tmp_path / "run")
    assert not wrong_with(run, says="is gone")


def test_mounting_is_tried_and_undone(tmp_path):
    with mounted(tmp_path / "disk", "1m") as allowed:
        (tmp_path / "disk" / "file").write_text("there")
    assert (tmp_path / "disk" / "file").exists() != allowed
