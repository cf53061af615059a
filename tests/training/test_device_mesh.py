import chex
import jax
import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.training import device_mesh


def test_eight_devices_take_the_step_of_one(make_line, batches):
    stage, batch = make_line(5), next(batches(0))
    states = []
    for mesh in (device_mesh.data_mesh(8), device_mesh.data_mesh(1)):
        state = jax.jit(stage.init)(jax.random.key(0))
        for _ in range(3):
            state, metrics = device_mesh.compile_step(stage, mesh)(
                state, {}, device_mesh.place(batch, mesh)
            )
        states.append((state, metrics))
    assert (device_mesh.data_mesh(8).size, device_mesh.data_mesh(1).size) == (8, 1)
    chex.assert_trees_all_close(*(s.networks for s, _ in states), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "batch, devices", [(1, 1), (2, 2), (6, 6), (7, 7), (9, 3), (12, 6), (13, 1), (32, 8)]
)
def test_the_mesh_is_the_largest_that_divides_the_batch(batch, devices):
    assert device_mesh.data_mesh(batch).size == devices


def test_hosts_that_cannot_share_a_batch_are_told_what_can(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UserError, match="one of 2 hosts that do not know each other: .*--multih"):
        device_mesh.data_mesh(8)
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    assert device_mesh.data_mesh(16).size == 8
    with pytest.raises(
        UserError, match="batch .* of 12 .* over 8 devices on 2 hosts: .*multiple of 8"
    ):
        device_mesh.data_mesh(12)


def test_what_is_replicated_is_read_on_one_device_without_a_copy():
    mesh = device_mesh.data_mesh(8)
    state = {"x": jax.numpy.arange(3.0), "key": jax.random.key(0)}
    everywhere = device_mesh.replicate(state, mesh)
    own = device_mesh.local(everywhere)
    assert len(everywhere["x"].devices()) == 8 and len(own["x"].devices()) == 1
    np.testing.assert_array_equal(own["x"], state["x"])
    assert own["key"] == state["key"]
    pointer = everywhere["x"].addressable_data(0).unsafe_buffer_pointer()
    assert own["x"].unsafe_buffer_pointer() == pointer
