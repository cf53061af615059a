import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lumiere_jax.training import device_mesh
from lumiere_jax.training.accumulate import accumulate

KEY = jax.random.key(0)


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    return {"x": random.normal(size=(8, 3)).astype(np.float32), "n": np.arange(8)}


def loss(params, batch, key):
    noise = jax.random.normal(key, ())
    return ((batch["x"] @ params["a"]) ** 2).mean() + noise * params["b"]


def test_one_part_is_the_whole_with_its_own_key(batch):
    f = lambda batch, key: (batch, jax.random.normal(key, ()))  # noqa: E731
    whole, noise = accumulate(f, 1, batch, KEY)
    assert whole is batch and noise == jax.random.normal(KEY, ())


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_have_every_example_once_and_give_the_whole_batchs_gradients(batch, parts):
    params = {"a": jnp.arange(1.0, 4.0), "b": jnp.float32(0)}
    gradient = functools.partial(jax.grad(loss), params)
    whole, taken = gradient(batch, KEY), accumulate(gradient, parts, batch, KEY)
    np.testing.assert_allclose(taken["a"], whole["a"], rtol=1e-5)
    # What is mean over examples is the same; what is noise is drawn for each part.
    drawn = [float(jax.random.normal(key, ())) for key in jax.random.split(KEY, parts)]
    np.testing.assert_allclose(taken["b"], np.mean(drawn), rtol=1e-5)
    counts = lambda part, _: jnp.zeros(8).at[part["n"]].add(1.0)  # noqa: E731
    np.testing.assert_allclose(accumulate(counts, parts, batch, KEY), 1.0 / parts)


def test_parts_of_a_batch_on_many_devices_stay_where_they_are(batch):
    """Every part is spread over all devices, and only sums are sent between them."""
    params = {"a": jnp.arange(1.0, 4.0), "b": jnp.float32(0)}
    gradient = functools.partial(jax.grad(loss), params)
    mesh = device_mesh.data_mesh(4)
    step = jax.jit(
        lambda batch: accumulate(gradient, 2, batch, KEY), out_shardings=device_mesh.whole(mesh)
    )
    compiled = step.lower(device_mesh.place(batch, mesh)).compile().as_text()
    assert "all-reduce" in compiled
    assert not [
        how for how in ("all-gather", "all-to-all", "collective-permute") if how in compiled
    ]
