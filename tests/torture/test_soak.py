"""Some narrations in a row; and that a leak would be seen."""

from torture import soak
from torture.tally import Tally


def test_narrations_in_a_row_leave_nothing_behind(workdir, quick, tmp_path):
    tally = Tally()
    soak.many(tmp_path, workdir, tally, 20, **quick)
    assert not any(row.failures for row in tally.rows), tally.rows
    assert tally.tries[soak.MANY] == 20


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
