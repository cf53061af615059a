from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.poses import gaps

FPS = Fraction(30)
CLIP = Path("talk.mp4")


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


def test_more_than_a_tenth_is_an_error_and_a_tenth_is_not():
    found = np.ones(300, bool)
    found[10:300:10] = False
    gaps.check(found, FPS, CLIP)
    found[[11, 21]] = False
    with pytest.raises(UserError, match=r"talk\.mp4.*31 of 300.*00:00\.3 to 00:00\.4"):
        gaps.check(found, FPS, CLIP)


def test_more_than_a_second_is_an_error_with_its_times():
    found = np.ones(30 * 120, bool)
    found[30 * 75 : 30 * 76] = False
    gaps.check(found, FPS, CLIP)
    found[30 * 76] = False
    with pytest.raises(UserError, match=r"31 of 3600.*01:15\.0 to 01:16\.0"):
        gaps.check(found, FPS, CLIP)


def test_the_nearest_frame_with_a_person():
    found = np.array([0, 1, 0, 0, 0, 1, 1, 0], bool)
    np.testing.assert_array_equal(gaps.nearest(found), [1, 1, 1, 1, 5, 5, 6, 6])
