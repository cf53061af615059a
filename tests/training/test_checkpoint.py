import contextlib
import dataclasses
import json
import os
import shutil
import struct
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorstore
import watching
from names import each_name

from lumiere_jax.errors import UserError
from lumiere_jax.training import checkpoint, checkpoint_formats, loop
from lumiere_jax.training.stage import NOTHING


@pytest.fixture
def trained(make_line, batches, tmp_path):
    stage = make_line(3)
    state = loop.train(stage, batches, list, {}, tmp_path, seed=0, metadata={"of": "points"})
    return tmp_path, stage, state


def test_what_is_used_is_the_moving_average(trained):
    folder, stage, state = trained
    (network,) = checkpoint.restore_frozen(folder, stage, "line").values()
    np.testing.assert_array_equal(network["params"]["a"], state.networks["line"].ema["params"]["a"])
    assert (np.array(network["params"]["a"]) != np.array(state.networks["line"].params["a"])).all()


def test_what_was_said_of_a_state_is_kept_beside_it(trained):
    folder, _, _ = trained
    assert checkpoint.read_metadata(folder / "line") == {"of": "points"}


def test_a_format_of_a_later_release_is_refused(trained):
    folder, stage, _ = trained
    path = folder / "line" / "checkpoints" / "3" / "metadata" / "metadata"
    values = json.loads(path.read_text())
    assert values.pop("format") == checkpoint_formats.FORMAT
    path.write_text(json.dumps({**values, "format": checkpoint_formats.FORMAT + 1}))
    newest = checkpoint_formats.FORMAT
    message = f"3 has format {newest + 1}, .* up to {newest}: update lumiere"
    for read in (
        lambda: checkpoint.restore_frozen(folder, stage, "line"),
        lambda: checkpoint.read_metadata(folder / "line"),
    ):
        with pytest.raises(UserError, match=message):
            read()
    path.write_text(json.dumps({**values, "format": "two"}))
    with pytest.raises(UserError, match="3 cannot be read"):
        checkpoint.restore_frozen(folder, stage, "line")


def with_slots(stage):
    """The stage, with slots in its state that each step adds its loss to."""

    def init(key, initial=NOTHING):
        return stage.init(key, initial).replace(extra={"slots": jnp.zeros(2), "age": jnp.int32(0)})

    def step(state, frozen, batch):
        new, metrics = stage.step(state, frozen, batch)
        extra = {"slots": state.extra["slots"] + metrics["loss"], "age": state.extra["age"] + 1}
        return new.replace(extra=extra), metrics

    return dataclasses.replace(stage, init=init, step=step)


def test_what_changes_without_gradients_is_guarded_saved_and_restored(
    make_line, batches, tmp_path, capsys
):
    whole = train(with_slots(make_line(3, nan_at=(2,))), batches, tmp_path / "whole")
    train(with_slots(make_line(2, nan_at=(2,))), batches, tmp_path / "parts")
    again = train(with_slots(make_line(3, nan_at=(2,))), batches, tmp_path / "parts")
    assert int(whole.extra["age"]) == 2
    assert np.isfinite(np.array(whole.extra["slots"])).all()
    for name, array in whole.extra.items():
        np.testing.assert_array_equal(again.extra[name], array)


def test_slots_that_are_no_longer_finite_are_not_saved(make_line, batches, tmp_path):
    stage = with_slots(make_line(1))

    def step(state, frozen, batch):
        new, metrics = stage.step(state, frozen, batch)
        return new.replace(extra={**new.extra, "slots": new.extra["slots"] / 0.0}), metrics

    with pytest.raises(UserError, match="is not finite by step 1.*nothing is saved"):
        train(dataclasses.replace(stage, step=step), batches, tmp_path)


def test_an_older_format_has_no_slots_to_restore(make_line, batches, tmp_path):
    """Format 1, as its table says it was written."""
    stage = make_line(1)
    train(stage, batches, tmp_path)
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    (step,) = (tmp_path / "line" / "checkpoints").glob("[0-9]*")
    path = step / "metadata" / "metadata"
    path.write_text(
        json.dumps({k: x for k, x in json.loads(path.read_text()).items() if k != "format"})
    )
    with checkpoint.open_checkpoints(tmp_path / "line") as manager:
        with pytest.raises(UserError, match="1 cannot be read") as raised:
            checkpoint.restore(manager, 1, checkpoint.abstract_state(with_slots(stage), device))
    assert "format 1 holds nothing for extra" in str(raised.value.__cause__)


def test_an_untrained_stage_is_named_with_its_remedy(make_line, tmp_path):
    assert checkpoint.latest_step(tmp_path / "line") is None
    with pytest.raises(UserError, match="holds no trained 'line' stage: run train.py with --stage"):
        checkpoint.restore_frozen(tmp_path, make_line(1), "line")
    assert not (tmp_path / "line").exists()


def test_a_damaged_checkpoint_is_named(trained):
    folder, stage, _ = trained
    step = folder / "line" / "checkpoints" / "3"
    for path in step.rglob("manifest.ocdbt"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=f"{step} cannot be read: .* or damaged"):
        checkpoint.restore_frozen(folder, stage, "line")


def test_a_step_that_was_not_written_whole_does_not_count(trained):
    folder, stage, _ = trained
    (folder / "line" / "checkpoints" / "9.orbax-checkpoint-tmp-1").mkdir()
    assert checkpoint.latest_step(folder / "line") == 3


def test_shapes_are_known_without_computing(make_line):
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    state = checkpoint.abstract_state(make_line(1), device)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(state))
    assert state.networks["line"].params["a"].shape == (3,)


def ocdbt(folder):
    """TensorStore's description of a store in a folder, with nothing of it compressed."""
    where = {"driver": "file", "path": f"{folder}/"}
    config = {"compression": None, "max_inline_value_bytes": 0}
    return {"driver": "ocdbt", "base": where, "manifest": where, "config": config}


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def test_a_store_that_refers_to_another_folder_does_not_open_it(trained, tmp_path):
    """A checkpoint rewritten so that its arrays lie in a part of it; then that part's name changes
    to a place outside."""
    folder, stage, _ = trained
    state = folder / "line" / "checkpoints" / "3" / "state"
    source = tensorstore.KvStore.open(
        {"driver": "ocdbt", "base": {"driver": "file", "path": f"{state}/"}}
    ).result()
    values = {key: source.read(key).result().value for key in source.list().result()}
    for name in ("manifest.ocdbt", "d", "ocdbt.process_0"):
        shutil.rmtree(state / name) if (state / name).is_dir() else (state / name).unlink()
    context = tensorstore.Context()  # which knows nothing of what was there
    part, whole = (
        tensorstore.KvStore.open(ocdbt(place), context=context).result()
        for place in (state / "ocdbt.process_0", state)
    )
    for key, value in values.items():
        part.write(key, value).result()
    transaction = tensorstore.Transaction(atomic=True)
    part.experimental_copy_range_to(whole.with_transaction(transaction)).result()
    transaction.commit_sync()
    (network,) = checkpoint.restore_frozen(folder, stage, "line").values()
    assert np.isfinite(np.array(network["params"]["a"])).all()

    there = b"../../../elsewh/"
    outside = (state / "ocdbt.process_0").rename(folder / "line" / "elsewh")
    changed = 0
    for path in [*state.glob("d/*"), state / "manifest.ocdbt"]:
        data = path.read_bytes()
        body = data[:-4].replace(b"ocdbt.process_0/", there)
        if body != data[:-4]:
            changed += 1
            path.write_bytes(body + crc32c(body))
    assert changed
    with watching.opened(outside / "d") as names:
        with pytest.raises(UserError, match=f"{state.parent} cannot be read"):
            checkpoint.restore_frozen(folder, stage, "line")
    assert not names


HOSTILE = "hostile_handler"


def test_handlers_that_a_checkpoint_names_are_not_imported(trained, tmp_path, monkeypatch):
    folder, stage, _ = trained
    step = folder / "line" / "checkpoints" / "3"
    (tmp_path / f"{HOSTILE}.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w').close()")
    monkeypatch.syspath_prepend(str(tmp_path))
    values = json.loads((step / "_CHECKPOINT_METADATA").read_text())
    values["item_handlers"] = dict.fromkeys(values["item_handlers"], f"{HOSTILE}.Handler")
    (step / "_CHECKPOINT_METADATA").write_text(json.dumps(values))
    for name, old in (("_METADATA", "jax.Array"), ("_sharding", "NamedSharding")):
        text = (step / "state" / name).read_text()
        assert old in text
        (step / "state" / name).write_text(text.replace(old, f"{HOSTILE}.Kind"))
    with contextlib.suppress(UserError):
        checkpoint.restore_frozen(folder, stage, "line")
    with contextlib.suppress(UserError):
        checkpoint.read_metadata(folder / "line")
    assert not (tmp_path / "trace").exists() and HOSTILE not in sys.modules


@pytest.mark.parametrize("content", [b"", b"[1]", b"1e999", b"\xff", b"[" * 50_000, b"9" * 5000])
@pytest.mark.parametrize(
    "name",
    [
        "_CHECKPOINT_METADATA",
        "metadata/metadata",
        "state/_METADATA",
        "state/_sharding",
        "state/array_metadatas/process_0",
    ],
)
def test_whatever_is_damaged_one_error_names_the_folder(trained, name, content):
    folder, stage, _ = trained
    (folder / "line" / "checkpoints" / "3" / name).write_bytes(content)
    for read in (
        lambda: checkpoint.restore_frozen(folder, stage, "line"),
        lambda: checkpoint.read_metadata(folder / "line"),
    ):
        try:
            read()
        except UserError as error:
            assert str(folder / "line" / "checkpoints") in str(error)


@pytest.mark.parametrize("change", [{"chunks": [2**22]}, {"shape": [4], "chunks": [4]}])
def test_arrays_of_larger_pieces_than_their_own_are_not_unpacked(trained, monkeypatch, change):
    folder, stage, _ = trained
    state = folder / "line" / "checkpoints" / "3" / "state"
    base = {"driver": "file", "path": f"{state}/"}
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
    for name in ("params", "ema.params"):
        key = f"networks.line.{name}.a/.zarray"
        store.write(key, json.dumps(json.loads(store.read(key).result().value) | change)).result()
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    restore = checkpoint.ocp.CheckpointManager.restore

    def metadata_alone(manager, step, args):
        assert set(args.keys()) == {"metadata"}
        return restore(manager, step, args=args)

    monkeypatch.setattr(checkpoint.ocp.CheckpointManager, "restore", metadata_alone)
    with pytest.raises(UserError, match=f"{state.parent} cannot be read") as raised:
        checkpoint.restore_frozen(folder, stage, "line")
    assert "another shape" in str(raised.value.__cause__)
    with checkpoint.open_checkpoints(folder / "line") as manager:
        with pytest.raises(UserError, match=f"{state.parent} cannot be read") as raised:
            checkpoint.restore(manager, 3, checkpoint.abstract_state(stage, device))
    assert "another shape" in str(raised.value.__cause__)


@each_name()
def test_whatever_a_folder_is_called_what_is_saved_in_it_is_read(
    make_line, batches, tmp_path, monkeypatch, typed, there
):
    """Also beside a folder that the name, as a pattern, would name, and under another name."""
    monkeypatch.chdir(tmp_path)
    for beside in ("a", "1", "aXb"):
        train(make_line(1), batches, tmp_path / beside)
    workdir = Path(there if typed.startswith("~") else typed)
    state = train(make_line(3), batches, workdir)
    train(make_line(4), batches, workdir)  # goes on
    saved = np.array(state.networks["line"].ema["params"]["a"])
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = checkpoint.abstract_state(make_line(3), device)
    (tmp_path / there).rename(tmp_path / "plain")
    for name in ("plain", os.fsdecode(b"caf\xe9 [1]")):
        place = (tmp_path / "plain").rename(tmp_path / name)
        assert checkpoint.latest_step(place / "line") == 4
        with checkpoint.open_checkpoints(place / "line", alone=True) as manager:
            first = checkpoint.restore(manager, 3, abstract)
            assert checkpoint.place_of(manager, 3) == place / "line" / "checkpoints" / "3"
        read = np.array(first.networks["line"].ema["params"]["a"])
        np.testing.assert_array_equal(read, saved)
        (network,) = checkpoint.restore_frozen(place, make_line(3), "line").values()
        assert np.isfinite(np.array(network["params"]["a"])).all()
        place.rename(tmp_path / "plain")


def test_through_a_link_it_is_saved_where_the_link_leads(make_line, batches, tmp_path):
    (tmp_path / "far" / "[1]").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "[1]")
    for workdir, step in ((tmp_path / "link" / ".." / "b", 1), (tmp_path / "link", 2)):
        train(make_line(step), batches, workdir)
    assert checkpoint.latest_step(tmp_path / "far" / "b" / "line") == 1
    assert checkpoint.latest_step(tmp_path / "far" / "[1]" / "line") == 2
    assert checkpoint.restore_frozen(tmp_path / "link", make_line(2), "line")


def train(stage, batches, workdir, **given):
    return loop.train(stage, batches, list, {}, workdir, seed=0, metadata={"of": ("x",)}, **given)


def empty(step):
    for path in step.rglob("manifest.ocdbt"):
        path.write_bytes(b"")


def other_metadata(step):
    (step / "metadata" / "metadata").write_text("{}")


def other_numbers(step):
    base = {"driver": "file", "path": f"{step}/state/"}
    kvstore = {"driver": "ocdbt", "base": base, "path": "networks.line.params.a/"}
    array = tensorstore.open({"driver": "zarr", "kvstore": kvstore}).result()
    array.write(array.read().result() + 1).result()


def gone(step):
    shutil.rmtree(step)


@pytest.mark.parametrize("harm", [empty, other_metadata, other_numbers, gone])
@pytest.mark.parametrize("first", [False, True])
def test_what_cannot_be_read_back_is_not_called_saved(
    make_line, batches, tmp_path, monkeypatch, capsys, harm, first
):
    """The first checkpoint, long before the last step, and the last one."""
    train(make_line(2), batches, tmp_path)
    wait, harmed = checkpoint.ocp.CheckpointManager.wait_until_finished, []

    def waited(manager):
        wait(manager)
        if (step := manager.latest_step()) and step > 2 and not harmed:
            harmed.append(step)
            harm(Path(manager.directory) / str(step))

    monkeypatch.setattr(checkpoint.ocp.CheckpointManager, "wait_until_finished", waited)
    folder = tmp_path / "line" / "checkpoints"
    step = 3 if first else 6
    says = f"^{folder / str(step)} was written and cannot be read back .*; step 2 is kept: check"
    with pytest.raises(UserError, match=says):
        train(make_line(6), batches, tmp_path, checkpoint_seconds=0.0 if first else 300.0)
    assert harmed == [step] and (folder / "2").is_dir()


def test_a_save_is_read_at_the_first_checkpoint_and_the_last(
    make_line, batches, tmp_path, monkeypatch
):
    read, confirm = [], checkpoint.confirm

    def counted(manager, state, metadata):
        read.append(int(state.step))
        confirm(manager, state, metadata)

    monkeypatch.setattr(checkpoint, "confirm", counted)
    train(make_line(6), batches, tmp_path, checkpoint_seconds=0.0)
    assert read == [1, 6]


@pytest.mark.parametrize("name", ["state/manifest.ocdbt", "state/_METADATA"])
def test_no_message_advises_to_remove_a_step(trained, name):
    folder, stage, _ = trained
    (folder / "line" / "checkpoints" / "3" / name).write_bytes(b"[")
    with pytest.raises(UserError, match="cannot be read.*(elsewhere|out of this folder)") as raised:
        checkpoint.restore_frozen(folder, stage, "line")
    assert "remove that" not in str(raised.value) and "delete" not in str(raised.value)
