"""A few of the kills that `run.py` does by the dozen."""

from collections import Counter
from random import Random

import pytest
from torture import infer_kills, prepare_kills, train_kills
from torture.footage import make_footage
from torture.tally import Tally

from lumiere_jax.training import checkpoint


def check(tally, **tries):
    """Nothing has failed, and everything was tried."""
    assert not any(row.failures for row in tally.rows), tally.rows
    for name, count in tries.items():
        assert tally.tries[name] >= count, tally.rows


@pytest.mark.slow
def test_train_goes_on_exactly_where_it_was_killed(drawn, quick, tmp_path):
    tally, steps = Tally(), {"vae": 12, "blstm": 2, "seqpix2pix": 2}
    train_kills.torture(
        tmp_path / "t", drawn, Random(0), tally, 2, steps=steps, stage="vae", **quick
    )
    check(tally, **{train_kills.PARTIAL: 2, train_kills.LOST: 2, train_kills.EXACT: 1})


@pytest.mark.slow
def test_infer_starts_anew_and_the_older_video_stays_until_then(workdir, quick, tmp_path):
    tally = Tally()
    infer_kills.torture(tmp_path / "i", workdir, Random(0), tally, 1, seconds=20, **quick)
    check(tally, **{infer_kills.PARTIAL: 1, infer_kills.KILLED: 1})


@pytest.mark.slow
def test_prepare_goes_on_by_the_clip(quick, tmp_path):
    tally = Tally()
    flags = make_footage(tmp_path / "footage", {"one": 7, "two": 8})
    prepare_kills.kills(tmp_path / "p", flags, Random(0), tally, 1, **quick)
    check(tally, **{prepare_kills.PARTIAL: 2, prepare_kills.ORPHANS: 1})


def test_a_kind_of_moment_that_no_kill_of_many_hit_is_a_failure(tmp_path):
    place = tmp_path / "vae" / "checkpoints"
    (place / "7").mkdir(parents=True)
    seen = [train_kills.moment(tmp_path)]
    (place / "8.orbax-checkpoint-tmp").mkdir()
    seen.append(train_kills.moment(tmp_path))
    (place / checkpoint.DELETED / "6").mkdir(parents=True)
    seen.append(train_kills.moment(tmp_path))
    assert seen == list(train_kills.KINDS)

    for moments, failures in (
        (Counter(step=1, write=1), 0),
        (Counter(step=9, write=14), 1),
        (Counter(step=9, write=13, retention=1), 0),
    ):
        tally = Tally()
        train_kills.count_moments(moments, tally)
        (row,) = tally.rows
        assert row.failures == failures
        assert f"{moments['step']} between steps, {moments['write']} in a write" in row.note
