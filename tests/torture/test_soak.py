"""Some narrations in a row; and that a leak would be seen."""

import os

import pytest
from torture import soak
from torture.processes import ROOT
from torture.tally import Tally


@pytest.mark.slow
def test_narrations_in_a_row_leave_nothing_behind(workdir, quick, tmp_path):
    tally = Tally()
    soak.many(tmp_path, workdir, tally, 20, **quick)
    assert not any(row.failures for row in tally.rows), tally.rows
    assert tally.tries[soak.MANY] == 20


# What Python runs at its start: each checkpoint that Orbax writes loses 8 MB.
LEAK = """
import orbax.checkpoint as ocp

save, lost = ocp.CheckpointManager.save, []


def losing(*arguments, **more):
    lost.append(bytes([1]) * 2**23)
    return save(*arguments, **more)


ocp.CheckpointManager.save = losing
"""


@pytest.mark.slow
def test_memory_lost_at_each_checkpoint_of_a_training_is_seen(drawn, quick, tmp_path, monkeypatch):
    """The last eight of the checkpoints beside the eight before them."""
    monkeypatch.setattr(soak, "CHECKPOINTS", {"vae": 24})
    monkeypatch.setattr(soak, "FEWEST", 24)
    (tmp_path / "sitecustomize.py").write_text(LEAK)
    tally = Tally()
    leaking = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    soak.day(tmp_path, drawn, tally, 1, **quick, **leaking)
    rows = {row.promise: row for row in tally.rows}
    assert rows.pop("a day's checkpoints of vae: MB stay flat").failures == 1
    assert not any(row.failures for row in rows.values()), rows


def test_a_leak_is_seen():
    tally = Tally()
    seen = [soak.Sample(500 + 2.0 * t, 20 + t // 4, 9) for t in range(40)]
    soak.flat(tally, "a leak", seen)
    assert [row.failures for row in tally.rows] == [1, 1, 0]


def test_a_file_lost_at_each_narration_or_checkpoint_is_seen():
    """At the fewest of each that are watched: 15 of 20 narrations, 36 of 48 checkpoints."""
    for many, files in ((15, soak.FILES), (36, soak.FILES + soak.LOOP)):
        tally = Tally()
        soak.flat(tally, "files", [soak.Sample(500, 20 + t, 9) for t in range(many)], files)
        assert [row.failures for row in tally.rows] == [0, 1, 0]
