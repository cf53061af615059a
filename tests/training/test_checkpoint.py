import jax
import numpy as np
import pytest

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
