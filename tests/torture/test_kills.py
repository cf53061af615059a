"""A few of the kills that `run.py` does by the dozen."""

from random import Random

from torture import infer_kills, prepare_kills, train_kills
from torture.footage import make_footage
from torture.tally import Tally


def check(tally, **tries):
    """Nothing has failed, and everything was tried."""
    assert not any(row.failures for row in tally.rows), tally.rows
    for name, count in tries.items():
        assert tally.tries[name] >= count, tally.rows


def test_train_goes_on_exactly_where_it_was_killed(drawn, quick, tmp_path):
    tally, steps = Tally(), {"vae": 12, "blstm": 2, "seqpix2pix": 2}
    train_kills.torture(
        tmp_path / "t", drawn, Random(0), tally, 2, steps=steps, stage="vae", **quick
    )
    check(tally, **{train_kills.PARTIAL: 2, train_kills.LOST: 2, train_kills.EXACT: 1})


def test_infer_starts_anew_and_the_older_video_stays_until_then(workdir, quick, tmp_path):
    tally = Tally()
    infer_kills.torture(tmp_path / "i", workdir, Random(0), tally, 1, seconds=20, **quick)
    check(tally, **{infer_kills.PARTIAL: 1, infer_kills.KILLED: 1})


def test_prepare_goes_on_by_the_clip(quick, tmp_path):
    tally = Tally()
    flags = make_footage(tmp_path / "footage", {"one": 7, "two": 8})
    prepare_kills.kills(tmp_path / "p", flags, Random(0), tally, 1, **quick)
    check(tally, **{prepare_kills.PARTIAL: 2, prepare_kills.ORPHANS: 1})
