from fractions import Fraction

import numpy as np

from lumiere_jax.inputs.poses import gaps

FPS = Fraction(30)


def moving(frames=60):
    """Every point walks from 0 to 1 in x."""
    keypoints = np.ones((frames, 137, 3), np.float32)
    keypoints[..., 0] = np.linspace(0, 1, frames)[:, None]
    return keypoints


def test_gaps_are_filled_linearly_and_at_the_ends_with_the_nearest():
    whole, keypoints = moving(), moving()
    found = np.ones(60, bool)
    found[[0, 1, *range(20, 40), 59]] = False
    keypoints[~found] = 0
    gaps.fill(keypoints, found, FPS)
    np.testing.assert_allclose(keypoints[2:59], whole[2:59], atol=1e-6)
    np.testing.assert_allclose(keypoints[[0, 1, 59]], whole[[2, 2, 58]], atol=1e-6)


def test_a_hand_that_flickers_is_filled_and_one_out_of_sight_is_not():
    whole, keypoints = moving(), moving()
    keypoints[10:15, 95:116] = 0  # a sixth of a second
    keypoints[30:36, 116:] = 0
    gaps.fill(keypoints, np.ones(60, bool), FPS)
    np.testing.assert_allclose(keypoints[10:15, 95:116], whole[10:15, 95:116], atol=1e-6)
    assert not keypoints[30:36, 116:].any()


def test_a_point_known_on_one_side_keeps_its_place():
    keypoints = moving(5)
    keypoints[1:4] = 0
    keypoints[0, 4] = 0
    gaps.fill(keypoints, np.array([True, False, False, False, True]), FPS)
    np.testing.assert_allclose(keypoints[1:4, 4], [[1, 1, 1]] * 3)


def test_a_gap_of_over_a_sixth_of_a_second_is_lost():
    found = np.ones(60, bool)
    found[[*range(5), *range(10, 16), *range(20, 25), 59]] = False
    assert np.flatnonzero(gaps.lost(found, FPS)).tolist() == [*range(10, 16)]
    assert gaps.lost(np.zeros(60, bool), FPS).all()


def test_the_nearest_frame_with_a_person():
    found = np.array([0, 1, 0, 0, 0, 1, 1, 0], bool)
    np.testing.assert_array_equal(gaps.nearest(found), [1, 1, 1, 1, 5, 5, 6, 6])
    np.testing.assert_array_equal(gaps.nearest(np.zeros(3, bool)), [0, 1, 2])
