"""The discriminators: known sizes, one logit that sees every pixel of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lumiere_jax.frames.discriminators import DCGANDiscriminator, SequenceDiscriminator

NET = DCGANDiscriminator(size=32, width=8)


@pytest.mark.parametrize("channels, parameters", [(3, 11_156_289), (6, 11_159_361)])
def test_parameter_count(channels, parameters):
    y = jax.ShapeDtypeStruct((1, 256, 256, channels), jnp.float32)
    variables = jax.eval_shape(
        lambda key, y: DCGANDiscriminator(256).init(key, y, train=False), jax.random.key(0), y
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == parameters


@pytest.mark.parametrize("size, convolutions", [(64, 4), (128, 5), (256, 6), (512, 7)])
def test_depth_follows_size(size, convolutions):
    net = DCGANDiscriminator(size, width=4)
    y = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    logits, variables = jax.eval_shape(
        lambda y: net.init_with_output(jax.random.key(0), y, train=False), y
    )
    assert logits.shape == (2,)
    assert variables["params"]["logit"]["kernel"].shape[:2] == (4, 4)
    assert f"down{convolutions - 1}" in variables["params"]
    assert f"down{convolutions}" not in variables["params"]


@pytest.fixture(scope="module")
def variables():
    y = jnp.zeros((1, 32, 32, 3))
    return jax.jit(NET.init, static_argnames="train")(jax.random.key(1), y, train=False)


def test_a_logit_sees_every_pixel_of_its_own_picture_and_no_other(variables):
    y = jax.random.uniform(jax.random.key(0), (3, 32, 32, 3), minval=-1)
    gradient = jax.jit(jax.grad(lambda y: NET.apply(variables, y, train=False)[1]))(y)
    assert float((jnp.abs(gradient[1]) > 0).mean()) > 0.99
    np.testing.assert_array_equal(gradient[jnp.array([0, 2])], 0)


def test_training_reaches_every_parameter(variables):
    y = jax.random.uniform(jax.random.key(0), (3, 32, 32, 3), minval=-1)

    def loss(params):
        logits, _ = NET.apply(
            {**variables, "params": params}, y, train=True, mutable=["batch_stats"]
        )
        return jnp.sum(logits**2)

    gradients = jax.jit(jax.grad(loss))(variables["params"])
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(gradients))


SEQUENCE = SequenceDiscriminator(size=64, width=2, code=6, cells=5)
LENGTHS = jnp.array([3, 2])


@pytest.fixture(scope="module")
def sequences():
    """Frames of 64 x 32 pixels, codes of their sound, and a sequence discriminator's variables."""
    y = jax.random.uniform(jax.random.key(0), (2, 3, 64, 32, 3), minval=-1)
    a = jax.random.normal(jax.random.key(1), (2, 3, 4))
    init = jax.jit(SEQUENCE.init, static_argnames="train")
    return y, a, init(jax.random.key(2), y, a, LENGTHS, train=False)


def test_a_sequences_logit_sees_each_of_its_frames_and_hears_each_of_its_codes(sequences):
    y, a, variables = sequences
    logit = lambda y, a: SEQUENCE.apply(variables, y, a, LENGTHS, train=False)[1]  # noqa: E731
    by_frame, by_code = jax.jit(jax.grad(logit, argnums=(0, 1)))(y, a)
    for gradient in (by_frame, by_code):
        reached = jnp.any(gradient != 0, axis=tuple(range(2, gradient.ndim)))
        np.testing.assert_array_equal(reached, [[False] * 3, [True, True, False]])


def test_what_lies_past_a_sequences_end_changes_nothing(sequences):
    y, a, variables = sequences
    run = jax.jit(
        lambda y, a: SEQUENCE.apply(variables, y, a, LENGTHS, train=True, mutable=["batch_stats"])
    )
    first, second = run(y, a), run(y.at[1, 2].set(1.0), a.at[1, 2].set(9.0))
    assert all(jax.tree.leaves(jax.tree.map(jnp.array_equal, first, second)))


def test_training_a_sequence_discriminator_reaches_every_parameter(sequences):
    y, a, variables = sequences

    def loss(params):
        full = {**variables, "params": params}
        logits, _ = SEQUENCE.apply(full, y, a, LENGTHS, train=True, mutable=["batch_stats"])
        return jnp.sum(logits**2 + logits)

    gradients = jax.jit(jax.grad(loss))(variables["params"])
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(gradients))
