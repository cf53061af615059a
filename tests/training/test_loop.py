import io
import json
from fractions import Fraction

import chex
import numpy as np
import pytest
from tqdm import tqdm

from lumiere_jax.errors import UserError
from lumiere_jax.training import checkpoint, loop, reports
from lumiere_jax.training.log import Clip
from lumiere_jax.training.reports import Due


def run(stage, batches, folder, **options):
    return loop.train(
        stage, batches, lambda: [next(batches(1000))], {}, folder, seed=3, metadata={}, **options
    )


@pytest.fixture
def seldom(monkeypatch):
    """Options of a run whose log has its first and its last step alone, so that calls are long."""
    monkeypatch.setattr(reports, "LINES", 1)
    return {"reports": 1, "clips": 1}


def test_a_line_is_learned(make_line, batches, tmp_path):
    state = run(make_line(300), batches, tmp_path)
    np.testing.assert_allclose(state.networks["line"].params["a"], [1, -2, 3], atol=0.1)
    np.testing.assert_allclose(state.networks["line"].params["b"], 0.5, atol=0.1)


@pytest.mark.parametrize("dispatch", [1, 3])
def test_a_resumed_run_is_the_uninterrupted_run_bit_for_bit(
    make_line, batches, tmp_path, seldom, dispatch
):
    """With three steps in a call, the checkpoint lies within what is one call without it."""
    whole = run(make_line(9, dispatch=dispatch), batches, tmp_path / "whole", **seldom)
    run(make_line(6, dispatch=dispatch), batches, tmp_path / "parts", **seldom)
    parts = run(make_line(9, dispatch=dispatch), batches, tmp_path / "parts", **seldom)
    chex.assert_trees_all_equal(whole.networks, parts.networks)
    assert int(parts.step) == 9 and (parts.key == whole.key).all()


def test_steps_in_one_call_are_the_steps_one_by_one(make_line, batches, tmp_path, seldom):
    states = {}
    for dispatch in (1, 4, 100):
        folder = tmp_path / str(dispatch)
        states[dispatch] = run(make_line(10, dispatch=dispatch), batches, folder, **seldom)
        chex.assert_trees_all_close(states[1].networks, states[dispatch].networks, rtol=1e-5)
        for one, other in zip(
            *(read_log(d / "line") for d in (tmp_path / "1", folder)), strict=True
        ):
            assert one == pytest.approx(other, rel=1e-4)


def test_a_call_ends_where_something_is_due(make_line):
    due = lambda step: Due(step in (1, 6, 12), step == 9, step == 10)  # noqa: E731
    calls = [list(steps) for steps in loop._calls(0, make_line(12, dispatch=3), due)]
    assert calls == [[1], [2, 3, 4], [5, 6], [7, 8, 9], [10], [11, 12]]
    assert [list(s) for s in loop._calls(10, make_line(12, dispatch=3), due)] == [[11, 12]]


def test_nan_within_a_call_is_named_by_its_own_step(make_line, batches, tmp_path, seldom):
    with pytest.raises(UserError, match="line: loss is not finite at step 7"):
        run(make_line(20, nan_at=6, dispatch=5), batches, tmp_path, **seldom)


def test_a_run_starts_where_the_last_ended_and_ends_where_it_should(make_line, batches, tmp_path):
    asked = []

    def counted(first):
        for batch in batches(first):
            asked.append(first)
            first += 1
            yield batch

    run(make_line(3), counted, tmp_path)
    asked.clear()
    run(make_line(5), counted, tmp_path)
    assert [first for first in asked if first < 1000] == [3, 4]
    asked.clear()
    run(make_line(5), counted, tmp_path)
    assert not [first for first in asked if first < 1000]


def test_nan_stops_the_run_and_leaves_the_last_checkpoint(make_line, batches, tmp_path):
    run(make_line(5), batches, tmp_path)
    with pytest.raises(
        UserError,
        match=r"line: loss is not finite at step 8: lower .*line.learn"
        ".*step 5 is saved",
    ):
        run(make_line(20, nan_at=7), batches, tmp_path, checkpoint_seconds=1e9)
    assert checkpoint.latest_step(tmp_path / "line") == 5
    state = run(make_line(20), batches, tmp_path)
    chex.assert_tree_all_finite(state.networks)
    assert int(state.step) == 20


@pytest.mark.parametrize("what", ["nan_at", "nan_gradient_at"])
def test_no_step_is_saved_before_it_is_known_to_be_finite(make_line, batches, tmp_path, what):
    """A gradient can be NaN where its loss is finite; the loss is NaN one step later."""
    with pytest.raises(UserError, match="at step 3: .*step 2 is saved"):
        run(make_line(20, **{what: 2}), batches, tmp_path, checkpoint_seconds=0.0)
    assert checkpoint.latest_step(tmp_path / "line") == 2


def test_only_the_newest_checkpoints_are_kept(make_line, batches, tmp_path):
    run(make_line(6), batches, tmp_path, checkpoint_seconds=0.0)
    folder = tmp_path / "line" / checkpoint.CHECKPOINTS
    assert sorted(path.name for path in folder.iterdir()) == ["5", "6"]


def test_log_lines_of_lost_steps_are_dropped_on_resuming(make_line, batches, tmp_path):
    run(make_line(4), batches, tmp_path)
    log = tmp_path / "line" / "log.jsonl"
    # A run that was killed after it had logged two more steps, the last not whole.
    log.write_text(log.read_text() + '{"step": 5, "loss": 1.0}\n{"step": 6, "lo')
    run(make_line(8), batches, tmp_path)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert lines[4]["loss"] != 1.0 and {"loss", "val_loss"} <= set(lines[4])
    assert list((tmp_path / "line" / "events").glob("events.*"))


def test_a_workdir_is_for_one_run_at_a_time(tmp_path):
    with loop.lock(tmp_path / "run"):
        with (
            pytest.raises(UserError, match="run is in use by another run"),
            loop.lock(tmp_path / "run"),
        ):
            pytest.fail("two runs hold the workdir")
    with loop.lock(tmp_path / "run"):
        pass


def test_a_workdir_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match=f"{folder} cannot be written .a file is where"):
            with loop.lock(folder):
                pytest.fail("a file holds no run")


def read_log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_line_has_the_means_since_the_line_before(make_line, batches, tmp_path, monkeypatch):
    run(make_line(40), batches, tmp_path / "each")
    each = read_log(tmp_path / "each" / "line")
    assert [line["step"] for line in each] == list(range(1, 41))
    assert [line["step"] for line in each if "val_loss" in line] == [1, *range(2, 41, 2)]
    monkeypatch.setattr(reports, "LINES", 4)
    run(make_line(40), batches, tmp_path / "means", reports=4)
    means = read_log(tmp_path / "means" / "line")
    assert [line["step"] for line in means] == [1, 10, 20, 30, 40]
    losses = [line["loss"] for line in each]
    np.testing.assert_allclose(means[1]["loss"], np.mean(losses[1:10]), rtol=1e-5)
    np.testing.assert_allclose(means[4]["loss"], np.mean(losses[30:40]), rtol=1e-5)


def test_checks_read_the_log_at_every_report_and_speak_once(make_line, batches, tmp_path, capsys):
    seen = []

    def check(lines):
        seen.append(lines[-1]["step"])
        return f"bad since {lines[-1]['step']}" if lines[-1]["step"] >= 6 else None

    for steps in (8, 12):
        run(make_line(steps), batches, tmp_path, checks={"bad": check})
    assert seen == list(range(1, 13))
    said = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert said == ["warning: bad since 6"]


def test_clips_are_made_at_even_moments_and_one_that_fails_is_left_out(
    make_line, batches, tmp_path
):
    made = []

    def preview(step, state):
        made.append((step, int(state.step)))
        if step > 4:
            return None
        return Clip(np.zeros((3, 4, 4, 3), np.uint8), Fraction(30), np.zeros((9, 1), np.float32), 9)

    run(make_line(12), batches, tmp_path, preview=preview, clips=3)
    run(make_line(12), batches, tmp_path, preview=preview, clips=3)
    assert made == [(4, 4), (8, 8), (12, 12)]


def test_the_bar_shows_losses_and_leaves_out_what_has_no_room():
    with tqdm(total=1, file=io.StringIO()) as bar:
        loop._show(bar, {"loss": 0.5, "learning_rate": 1e-3, "gradient_norm_G": 3.0}, 4)
    assert bar.postfix.startswith("loss=0.5, examples/s=")
