"""The still's encoder and the frames' decoder: known sizes, skips, masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lumiere_jax.frames.animation import FrameDecoder, IdentityEncoder

ENCODER, DECODER = IdentityEncoder(code=6, width=2), FrameDecoder(width=2)


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_sizes_and_parameters_of_the_paper():
    still = jax.ShapeDtypeStruct((2, 128, 96, 3), jnp.float32)
    latent = jax.ShapeDtypeStruct((2, 5, 316), jnp.float32)

    def build(still, latent):
        (z, skips), encoder = IdentityEncoder().init_with_output(
            jax.random.key(0), still, train=False
        )
        y, decoder = FrameDecoder().init_with_output(jax.random.key(0), latent, skips, train=False)
        return z, skips, y, encoder["params"], decoder["params"]

    z, skips, y, encoder, decoder = jax.eval_shape(build, still, latent)
    assert z.shape == (2, 50) and y.shape == (2, 5, 128, 96, 3)
    assert [s.shape[1:] for s in skips] == [
        (4, 3, 1024),
        (8, 6, 512),
        (16, 12, 256),
        (32, 24, 128),
    ]
    downs = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1024)
    halves = 9 * (1024**2 + 512**2 + 256**2 + 128**2)
    identity = downs + 2 * (64 + 128 + 256 + 512 + 1024) + 12 * 1024 * 50
    # A 3x3 convolution over [what came, the skip] has two halves, and the still's is the encoder's.
    assert count(encoder) == identity + halves
    ups = 16 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 3
    norms = 2 * (2 * 1024 + 2 * 512 + 2 * 256 + 2 * 128 + 64)
    assert count(decoder) == 12 * 1024 * 316 + halves + ups + norms


@pytest.fixture(scope="module")
def built():
    """Variables of both and what the encoder makes of two stills, of 64 x 32 pixels."""
    stills = jax.random.uniform(jax.random.key(0), (2, 64, 32, 3), minval=-1)
    latent = jax.random.normal(jax.random.key(1), (2, 3, 7))

    @jax.jit
    def build(stills, latent):
        (_, skips), encoder = ENCODER.init_with_output(jax.random.key(2), stills, train=False)
        decoder = DECODER.init(jax.random.key(3), latent, skips, train=False)
        # Kernels of N(0, 0.02) let almost nothing of a few channels through.
        return jax.tree.map(lambda x: x * 10 if x.ndim > 1 else x, (encoder, decoder))

    encoder, decoder = build(stills, latent)
    return encoder, decoder, stills, latent


def animate(encoder, decoder, stills, latent):
    z, skips = ENCODER.apply(encoder, stills, train=False)
    return z, DECODER.apply(decoder, latent, skips, train=False)


def test_a_frame_depends_on_its_own_latent_and_its_own_still(built):
    encoder, decoder, stills, latent = built
    run = jax.jit(lambda *x: animate(encoder, decoder, *x)[1])
    y = run(stills, latent)
    np.testing.assert_array_equal(run(stills, latent.at[0, 1].add(1))[1], y[1])
    moved = run(stills, latent.at[0, 1].add(1))[0]
    assert [bool(jnp.any(moved[t] != y[0, t])) for t in range(3)] == [False, True, False]
    other = run(stills.at[0].multiply(-1), latent)
    assert jnp.all(jnp.any(other[0] != y[0], axis=(1, 2, 3))), "the skips do not reach the frames"
    np.testing.assert_array_equal(other[1], y[1])


def test_frames_that_are_not_seen_change_no_statistics(built):
    encoder, decoder, stills, latent = built
    _, skips = ENCODER.apply(encoder, stills, train=False)
    seen = jnp.array([[True, True, False], [True, False, False]])

    @jax.jit
    def run(latent):
        return DECODER.apply(decoder, latent, skips, train=True, seen=seen, mutable=["batch_stats"])

    other = jnp.where(seen[..., None], latent, 100.0)
    (a, first), (b, second) = run(latent), run(other)
    np.testing.assert_array_equal(a[seen], b[seen])
    assert all(jax.tree.leaves(jax.tree.map(jnp.array_equal, first, second)))


def test_training_reaches_every_parameter(built):
    encoder, decoder, stills, latent = built

    def loss(params):
        (z, skips), _ = ENCODER.apply(
            {**encoder, "params": params[0]}, stills, train=True, mutable=["batch_stats"]
        )
        y, _ = DECODER.apply(
            {**decoder, "params": params[1]}, latent, skips, train=True, mutable=["batch_stats"]
        )
        return jnp.sum(y**2) + jnp.sum(z**2)

    gradients = jax.jit(jax.grad(loss))((encoder["params"], decoder["params"]))
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(gradients))
