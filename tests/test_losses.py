"""Losses against their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lumiere_jax import losses


def test_least_squares_closed_forms():
    real, fake = jnp.array([1.0, 0.0, 3.0]), jnp.array([0.0, 1.0, -2.0])
    np.testing.assert_allclose(losses.least_squares_discriminator(real, fake), [0, 1, 4])
    np.testing.assert_allclose(losses.least_squares_generator(fake), [1, 0, 9])


def test_picture_losses_are_means_per_example():
    a = jnp.zeros((2, 4, 4, 3))
    b = jnp.stack([jnp.full((4, 4, 3), 0.5), jnp.full((4, 4, 3), -2.0)])
    np.testing.assert_allclose(losses.l1(a, b), [0.5, 2])
    np.testing.assert_allclose(losses.mse(a, b), [0.25, 4])
    np.testing.assert_allclose(losses.mse(a[:, 0, 0], b[:, 0, 0]), [0.25, 4])


def test_weighted_losses_weigh_pixels_and_equal_the_plain_ones_at_weight_one():
    a, b = jax.random.normal(jax.random.key(0), (2, 3, 4, 4, 3))
    ones = jnp.ones((3, 4, 4, 1))
    np.testing.assert_allclose(losses.weighted_l1(a, b, ones), losses.l1(a, b))
    np.testing.assert_allclose(losses.weighted_mse(a, b, ones), losses.mse(a, b))
    one_pixel = jnp.zeros((3, 4, 4, 1)).at[:, 1, 2].set(16)
    np.testing.assert_allclose(
        losses.weighted_mse(a, b, one_pixel),
        jnp.mean((a - b)[:, 1, 2] ** 2, axis=-1),
        rtol=1e-6,
    )


def test_motion_is_how_otherwise_a_clip_changes():
    still, moving = np.zeros((2, 2, 3, 4, 4, 3), np.float32)
    moving[0, 1] = 0.5  # of two changes of the first clip, one up and one down
    np.testing.assert_allclose(losses.motion(still, moving), [0.5, 0])
    np.testing.assert_allclose(losses.motion(moving, moving + 7.0), 0)
    reverse = losses.motion(moving, np.flip(moving, axis=1))
    np.testing.assert_allclose(reverse, 0)  # 0, 0.5, 0 is its own mirror


def test_kl_divergence_is_the_closed_form_summed_over_the_code():
    zero = jnp.zeros((2, 8))
    np.testing.assert_allclose(losses.kl_divergence(zero, zero), 0)
    np.testing.assert_allclose(losses.kl_divergence(zero + 3, zero), 8 * 4.5)
    # against a Monte Carlo mean of log q(z) - log p(z)
    mu, logvar = jnp.array([[0.5]]), jnp.array([[-1.0]])
    epsilon = jax.random.normal(jax.random.key(0), (200_000,))
    z = 0.5 + jnp.exp(-0.5) * epsilon
    monte_carlo = jnp.mean(-0.5 * epsilon**2 + 0.5 + 0.5 * z**2)
    assert abs(float(losses.kl_divergence(mu, logvar)[0] - monte_carlo)) < 0.01


def test_perceptual_sums_the_layers_means_whatever_their_sizes():
    a = [jnp.zeros((2, 8, 8, 4)), jnp.zeros((2, 2, 2, 64))]
    b = [jnp.ones((2, 8, 8, 4)), jnp.full((2, 2, 2, 64), 2.0)]
    np.testing.assert_allclose(losses.perceptual(a, b), [5, 5])


def body(**parts):
    """One person's keypoints, all absent except the named slices: (points, x, y, spread)."""
    keypoints = np.zeros((1, 137, 3), np.float32)
    for (first, last), x, y, spread in parts.values():
        keypoints[0, first:last, 0] = np.linspace(x - spread, x + spread, last - first)
        keypoints[0, first:last, 1] = np.linspace(y - spread, y + spread, last - first)
        keypoints[0, first:last, 2] = 0.9
    return keypoints


WEIGHTS = {"mouth": 30.0, "eyes": 8.0, "hands": 5.0, "face": 4.0}


def test_region_weights_find_every_part_and_leave_the_rest_at_one():
    keypoints = body(
        jaw=((25, 42), 0.5, 0.3, 0.2),
        mouth=((73, 93), 0.5, 0.4, 0.05),
        right_eye=((61, 67), 0.4, 0.2, 0.03),
        left_eye=((67, 73), 0.6, 0.2, 0.03),
        left_hand=((95, 116), 0.2, 0.8, 0.1),
    )
    weights = np.asarray(losses.region_weights(keypoints, 100, **WEIGHTS))[0, :, :, 0]
    assert weights[40, 50] == 30
    assert weights[20, 40] == weights[20, 60] == 8
    assert weights[20, 50] == 4  # between the eyes there is only the face
    assert weights[80, 20] == 5  # rows are y, cols are x
    assert weights[20, 80] == weights[80, 80] == 1
    assert set(np.unique(weights)) == {1, 4, 5, 8, 30}
    assert 21 * 21 < (weights == 5).sum() < 29 * 29  # the hand's box and its margin


@pytest.mark.parametrize("confidence", [0.0, 0.1])
def test_absent_parts_add_nothing(confidence):
    keypoints = body(mouth=((73, 93), 0.5, 0.4, 0.05), hand=((116, 137), 0.3, 0.3, 0.1))
    keypoints[..., 2] = confidence
    weights = losses.region_weights(keypoints, 32, **WEIGHTS)
    np.testing.assert_array_equal(weights, 1)


def test_a_point_that_is_not_seen_does_not_stretch_its_box():
    keypoints = body(hand=((95, 116), 0.3, 0.3, 0.1))
    expected = losses.region_weights(keypoints, 64, **WEIGHTS)
    keypoints[0, 100] = (0.9, 0.9, 0.05)
    np.testing.assert_array_equal(losses.region_weights(keypoints, 64, **WEIGHTS), expected)


def test_cross_entropy_closed_forms():
    real, fake = jnp.array([0.0, 2.0]), jnp.array([0.0, -3.0])
    sigmoid = lambda x: 1 / (1 + np.exp(-np.asarray(x, np.float64)))  # noqa: E731
    expected = -np.log(sigmoid(real)) - np.log(1 - sigmoid(fake))
    found = losses.cross_entropy_discriminator(real, fake)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(
        losses.non_saturating_generator(fake), -np.log(sigmoid(fake)), rtol=1e-6
    )
    # D is sure that the picture is made, and G is still told where to go.
    gradient = jax.grad(lambda x: losses.non_saturating_generator(x).sum())(jnp.array([-30.0]))
    assert gradient[0] == pytest.approx(-1)


def test_lower_half_l1_sees_the_lower_half_of_the_frames_that_are_there():
    a = jnp.zeros((2, 3, 4, 2, 3))
    b = a.at[:, :, 2:].set(0.5).at[:, :, :2].set(9.0).at[1, 2].set(100.0)
    seen = jnp.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    np.testing.assert_allclose(losses.lower_half_l1(a, b, seen), [0.5, 0.5])
    np.testing.assert_allclose(losses.lower_half_l1(a, b, seen, upper=0.1), [1.4, 1.4], rtol=1e-6)
    gradient = jax.grad(lambda b: losses.lower_half_l1(a, b, seen).sum())(b)
    assert not gradient[:, :, :2].any() and not gradient[1, 2].any()
    assert (gradient[0, :, 2:] > 0).all()
