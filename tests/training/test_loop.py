import dataclasses
import io
import json
import shutil
import signal
from fractions import Fraction

import chex
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tqdm import tqdm

from lumiere_jax.errors import UserError
from lumiere_jax.runtime import stop_signals
from lumiere_jax.training import checkpoint, loop, progress_reports
from lumiere_jax.training.guard import Watch
from lumiere_jax.training.log import Clip
from lumiere_jax.training.progress_reports import Due, due_at


def run(stage, batches, folder, **options):
    return loop.train(
        stage, batches, lambda: [next(batches(1000))], {}, folder, seed=3, metadata={}, **options
    )


@pytest.fixture
def seldom(monkeypatch):
    """Options of a run whose log has its first and its last step alone, so that calls are long."""
    monkeypatch.setattr(progress_reports, "LINES", 1)
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
    due = lambda step: Due(step in (1, 6, 12), step == 9, step == 9, step == 10)  # noqa: E731
    calls = [list(steps) for steps in loop._calls(0, make_line(12, dispatch=3), due)]
    assert calls == [[1], [2, 3, 4], [5, 6], [7, 8, 9], [10], [11, 12]]
    assert [list(s) for s in loop._calls(10, make_line(12, dispatch=3), due)] == [[11, 12]]


def test_a_bad_step_within_a_call_is_named_by_its_own_number(
    make_line, batches, tmp_path, seldom, capsys
):
    run(make_line(20, nan_at=[7], dispatch=5), batches, tmp_path, **seldom)
    assert "line: loss is not finite at step 7: it is skipped" in capsys.readouterr().out


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


@pytest.mark.parametrize("what", ["nan_at", "nan_gradient_at"])
@pytest.mark.parametrize("dispatch", [1, 4])
def test_a_bad_step_is_not_taken_and_counted(make_line, batches, tmp_path, what, dispatch, seldom):
    bad = [3, 4, 9]
    state = run(make_line(12, dispatch=dispatch, **{what: bad}), batches, tmp_path / "a", **seldom)
    assert int(state.step) == 12
    chex.assert_tree_all_finite(state.networks)
    counts = optax.tree.get(state.networks["line"].opt_state, "count")
    assert int(counts) == 12 - len(bad)
    lines = read_log(tmp_path / "a" / "line")
    assert sum(line.get("skipped", 0) for line in lines) == len(bad)
    assert all(np.isfinite(list(line.values())).all() for line in lines)


@pytest.mark.parametrize("what", ["nan_at", "nan_gradient_at"])
def test_every_part_of_the_state_is_as_before_a_bad_step(make_line, batches, tmp_path, what):
    before = run(make_line(5), batches, tmp_path / "before")
    after = run(make_line(6, **{what: [6]}), batches, tmp_path / "after")
    chex.assert_trees_all_equal(before.networks, after.networks)
    assert int(after.step) == 6


@pytest.mark.parametrize("dispatch", [1, 4])
def test_ten_bad_steps_in_a_row_end_the_run_at_its_last_good_checkpoint(
    make_line, batches, tmp_path, dispatch, seldom
):
    bad = [*range(7, 16), *range(17, 27)]
    with pytest.raises(
        UserError,
        match=r"line: loss is not finite at steps 17 to 26, and 10 bad steps in a row end a run: "
        r"lower --config.line.learning_rate, .* batch \(frames 25, 26, .*, 32\); "
        r".*checkpoints/16 is the last good step",
    ):
        stage = make_line(40, nan_at=bad, dispatch=dispatch)
        run(make_line(16, nan_at=bad, dispatch=dispatch), batches, tmp_path, **seldom)
        run(stage, batches, tmp_path, checkpoint_seconds=1e9, **seldom)
    assert checkpoint.latest_step(tmp_path / "line") == 16
    state = run(make_line(40), batches, tmp_path)
    chex.assert_tree_all_finite(state.networks)
    assert int(state.step) == 40


def test_no_weight_is_saved_that_is_not_finite(make_line, batches, tmp_path):
    """A finite gradient can be too large for a weight."""
    stage, last = make_line(20), lambda x: jnp.where(x.step == 4, jnp.inf, 0.0)

    def step(state, frozen, batch):
        new, metrics = stage.step(state, frozen, batch)
        network = new.networks["line"]
        params = {**network.params, "b": network.params["b"] + last(new)}
        return new.replace(networks={"line": network.replace(params=params)}), metrics

    with pytest.raises(UserError, match="a weight is not finite by step 4: .*/3 is the last good"):
        own = dataclasses.replace(stage, step=step)
        run(own, batches, tmp_path, checkpoint_seconds=0.0)
    assert checkpoint.latest_step(tmp_path / "line") == 3


def test_only_the_newest_checkpoints_are_kept(make_line, batches, tmp_path, monkeypatch):
    """Whoever saves at every step needs no more room than for two, one in writing and one that was
    just put away."""
    folder, most, save = tmp_path / "line" / checkpoint.CHECKPOINTS, [], checkpoint.save

    def counted(manager, state, metadata):
        save(manager, state, metadata)
        most.append(len(list((folder / checkpoint.DELETED).glob("*"))))

    monkeypatch.setattr(checkpoint, "save", counted)
    run(make_line(12), batches, tmp_path, checkpoint_seconds=0.0)
    assert max(most) <= 1
    monkeypatch.undo()
    run(make_line(6), batches, tmp_path / "six", checkpoint_seconds=0.0)
    folder = tmp_path / "six" / "line" / checkpoint.CHECKPOINTS
    assert sorted(path.name for path in folder.iterdir()) == ["5", "6"]


def test_what_a_killed_run_left_in_the_middle_is_swept_and_does_not_count(
    make_line, batches, tmp_path
):
    """Killed within a write, within a step's renaming out of the way, and within its deletion."""
    run(make_line(4), batches, tmp_path, checkpoint_seconds=0.0)
    folder = tmp_path / "line" / checkpoint.CHECKPOINTS
    shutil.copytree(folder / "4", folder / "9.orbax-checkpoint-tmp")
    shutil.copytree(folder / "3", folder / checkpoint.DELETED / "3")
    (folder / checkpoint.DELETED / "2" / "state").mkdir(parents=True)
    assert checkpoint.latest_step(tmp_path / "line") == 4
    assert (folder / "9.orbax-checkpoint-tmp").exists(), "who only reads sweeps nothing"
    run(make_line(6), batches, tmp_path, checkpoint_seconds=0.0)
    assert sorted(path.name for path in folder.iterdir()) == ["5", "6"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_saves_first(make_line, batches, tmp_path, number, capsys):
    before = signal.signal(number, signal.default_int_handler)

    def asking(first):
        for step, batch in enumerate(batches(first), first + 1):
            if step == 5:
                signal.raise_signal(number)
            yield batch

    try:
        with pytest.raises(KeyboardInterrupt) as stopped:
            run(make_line(20), asking, tmp_path)
    finally:
        signal.signal(number, before)
    assert stopped.value.args == (number,)
    step = checkpoint.latest_step(tmp_path / "line")
    assert 5 <= step <= 7 and f"line: step {step} is saved" in capsys.readouterr().out
    parts = run(make_line(20), batches, tmp_path)
    chex.assert_trees_all_equal(parts, run(make_line(20), batches, tmp_path / "whole"))


@pytest.mark.parametrize("dispatch", [1, 3])
@pytest.mark.parametrize("where", ["preview", "writing"])
def test_a_wish_after_the_last_step_was_begun_is_heard_too(
    make_line, batches, tmp_path, where, dispatch, monkeypatch
):
    """Otherwise the next stage would begin, or what is being written be lost."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    save = checkpoint.save

    def asking(step, state):
        if step == 4 and where == "preview":
            signal.raise_signal(signal.SIGTERM)

    def saving(manager, state, metadata):
        save(manager, state, metadata)
        if where == "writing":
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(checkpoint, "save", saving)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(make_line(4, dispatch=dispatch), batches, tmp_path, preview=asking)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert checkpoint.latest_step(tmp_path / "line") == 4


def test_before_there_is_anything_to_save_a_run_stops_at_once(make_line, batches, tmp_path):
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)

    def asking(first):
        signal.raise_signal(signal.SIGTERM)
        yield from batches(first)

    try:
        with pytest.raises(KeyboardInterrupt):
            run(make_line(20), asking, tmp_path)
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert checkpoint.latest_step(tmp_path / "line") is None


def test_a_signal_that_comes_too_late_for_the_block_is_not_forgotten():
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as stopped, stop_signals.wishes_to_stop() as wish:
            wish.worth_saving = True
            signal.raise_signal(signal.SIGTERM)
        assert stopped.value.args == (signal.SIGTERM,)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_second_signal_stops_at_once():
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), stop_signals.wishes_to_stop() as wish:
            wish.worth_saving = True
            signal.raise_signal(signal.SIGTERM)
            assert wish.signal == signal.SIGTERM
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


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


def read_log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_line_has_the_means_since_the_line_before(make_line, batches, tmp_path, monkeypatch):
    run(make_line(40), batches, tmp_path / "each")
    each = read_log(tmp_path / "each" / "line")
    assert [line["step"] for line in each] == list(range(1, 41))
    assert [line["step"] for line in each if "val_loss" in line] == [1, *range(2, 41, 2)]
    monkeypatch.setattr(progress_reports, "LINES", 4)
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
        recent = [{"loss": 0.5, "learning_rate": 1e-3, "gradient_norm_G": 3.0}]
        loop._show(bar, Watch("line", recent), 4)
    assert bar.postfix.startswith("loss=0.5, examples/s=")


def test_a_stage_without_a_gain_ends_after_its_patience_and_stays_ended(
    make_line, batches, tmp_path, capsys
):
    """Held-out losses fall until step 20 and rise from there on."""
    patient = dataclasses.replace(
        make_line(200),
        evaluate=lambda state, frozen, batch: {"loss": jnp.abs(state.step - 20).astype(float)},
        epoch=5,
        patience=3,
        gain="loss",
    )
    state = run(patient, batches, tmp_path)
    assert int(state.step) == 35
    assert "line: no gain in 3 epochs of 5 steps" in capsys.readouterr().out
    lines = [line["step"] for line in read_log(tmp_path / "line") if "val_loss" in line]
    assert lines == [1, 5, 10, 15, 20, 25, 30, 35]
    assert checkpoint.has_ended(tmp_path / "line", 3)
    again = run(patient, batches, tmp_path)
    assert int(again.step) == 35 and "35 steps are done already" in capsys.readouterr().out
    more = run(dataclasses.replace(patient, patience=5), batches, tmp_path)
    assert int(more.step) == 45


def test_epochs_end_with_reports_and_sheets_are_as_many_whatever_an_epoch_is():
    for epoch in (0, 3, 7):
        due = [due_at(1000, 20, 4, epoch)(step) for step in range(1, 1001)]
        assert sum(d.sheet for d in due) == 21
        assert all(d.line for d in due if d.report) and all(d.report for d in due if d.sheet)
        assert all(due[step - 1].report for step in range(epoch, 1001, epoch or 1001) if step)


def test_a_stage_that_gains_goes_to_its_end(make_line, batches, tmp_path):
    gaining = dataclasses.replace(
        make_line(30),
        evaluate=lambda state, frozen, batch: {"loss": -state.step.astype(float)},
        epoch=5,
        patience=1,
        gain="loss",
    )
    assert int(run(gaining, batches, tmp_path).step) == 30
    assert not checkpoint.has_ended(tmp_path / "line", 1)


def test_patience_is_not_lost_where_a_run_is_resumed(make_line, batches, tmp_path):
    def stage(steps):
        return dataclasses.replace(
            make_line(steps),
            evaluate=lambda state, frozen, batch: {"loss": state.step.astype(float)},
            epoch=5,
            patience=4,
            gain="loss",
        )

    assert int(run(stage(10), batches, tmp_path).step) == 10
    assert int(run(stage(100), batches, tmp_path).step) == 25
