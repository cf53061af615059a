"""The VAE of pose figures: known sizes, ranges, and both halves on their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lumiere_jax.figures.autoencoder import VAE, Decoder, Encoder, sample

NET = VAE(size=32, code=16)


@pytest.fixture(scope="module")
def variables():
    keys = jax.random.split(jax.random.key(0))
    return jax.jit(NET.init)(keys[0], jnp.zeros((1, 32, 32, 3)), keys[1])


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_parameter_counts():
    key = jax.random.key(0)
    w = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    variables = jax.eval_shape(VAE(256).init, key, w, key)
    assert count(variables["params"]["encoder"]) == 33_647_936
    assert count(variables["params"]["decoder"]) == 8_842_307


def test_each_half_works_on_its_own_parameters(variables):
    w = jax.random.uniform(jax.random.key(1), (3, 32, 32, 3))
    params = variables["params"]

    @jax.jit
    def both_ways(w):
        mu, logvar = Encoder(code=16).apply({"params": params["encoder"]}, w)
        decoded = Decoder(size=32, code=16).apply({"params": params["decoder"]}, mu)
        whole = NET.apply(variables, w, method="encode")
        return (mu, logvar, decoded), (*whole, NET.apply(variables, whole[0], method="decode"))

    for alone, whole in zip(*both_ways(w), strict=True):
        np.testing.assert_allclose(alone, whole, atol=1e-6)


def test_figures_come_back_at_their_size_between_zero_and_one(variables):
    w = jax.random.uniform(jax.random.key(1), (3, 32, 32, 3))
    decoded, mu, logvar = jax.jit(NET.apply)(variables, w, jax.random.key(2))
    assert decoded.shape == w.shape and mu.shape == logvar.shape == (3, 16)
    assert 0 < float(decoded.min()) and float(decoded.max()) < 1


def test_sample_has_the_mean_and_deviation_asked_for():
    mu, logvar = jnp.full((20_000, 2), 3.0), jnp.full((20_000, 2), 2 * np.log(0.5), jnp.float32)
    z = sample(jax.random.key(0), mu, logvar)
    np.testing.assert_allclose(z.mean(axis=0), 3, atol=0.02)
    np.testing.assert_allclose(z.std(axis=0), 0.5, atol=0.02)


def test_gradients_reach_every_parameter_through_the_sample(variables):
    w = jax.random.uniform(jax.random.key(1), (3, 32, 32, 3))

    def loss(params):
        decoded, _, _ = NET.apply({"params": params}, w, jax.random.key(2))
        return jnp.sum((decoded - w) ** 2)

    gradients = jax.jit(jax.grad(loss))(variables["params"])
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(gradients))
