import contextlib
import json
import shutil
import struct
import sys

import jax
import numpy as np
import pytest
import tensorstore
import watching

from lumiere_jax.errors import UserError
from lumiere_jax.training import checkpoint, loop


@pytest.fixture
def trained(make_line, batches, tmp_path):
    stage = make_line(3)
    state = loop.train(stage, batches, list, {}, tmp_path, seed=0, metadata={"of": "points"})
    return tmp_path, stage, state


def test_what_is_used_is_the_moving_average(trained):
    folder, stage, state = trained
    (network,) = checkpoint.restore_frozen(folder, stage, "line").values()
    np.testing.assert_array_equal(
        network["params"]["a"], state.networks["line"].average["params"]["a"]
    )
    assert (np.array(network["params"]["a"]) != np.array(state.networks["line"].params["a"])).all()


def test_what_was_said_of_a_state_is_kept_beside_it(trained):
    folder, _, _ = trained
    assert checkpoint.read_metadata(folder / "line") == {"of": "points"}


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
    for name in ("params", "average.params"):
        key = f"networks.line.{name}.a/.zarray"
        store.write(key, json.dumps(json.loads(store.read(key).result().value) | change)).result()
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def unreached(*arguments, **named):
        raise AssertionError

    monkeypatch.setattr(checkpoint.ocp.CheckpointManager, "restore", unreached)
    with pytest.raises(UserError, match=f"{state.parent} cannot be read") as raised:
        checkpoint.restore_frozen(folder, stage, "line")
    assert "another shape" in str(raised.value.__cause__)
    with checkpoint.open_checkpoints(folder / "line") as manager:
        with pytest.raises(UserError, match=f"{state.parent} cannot be read") as raised:
            checkpoint.restore(manager, 3, checkpoint.abstract_state(stage, device))
    assert "another shape" in str(raised.value.__cause__)
