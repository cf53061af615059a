"""Boxes of parts: known places, and what is not seen."""

import numpy as np

from lumiere_jax.body_parts import PARTS, part_boxes, part_mask
from lumiere_jax.keypoints import count


def test_a_box_goes_around_its_points_with_a_margin_of_its_longer_side():
    keypoints = np.zeros((2, 137, 3), np.float32)
    part, margin = PARTS["mouth"][0]
    keypoints[0, part, 0] = np.linspace(0.3, 0.7, count(part))
    keypoints[0, part, 1] = np.linspace(0.5, 0.6, count(part))
    keypoints[0, part, 2] = 1
    boxes = np.asarray(part_boxes(keypoints, "mouth"))
    edge = margin * 0.4
    np.testing.assert_allclose(boxes[0, 0], [[0.3 - edge, 0.5 - edge], [0.7 + edge, 0.6 + edge]])
    assert np.isinf(boxes[1]).all()
    mask = np.asarray(part_mask(keypoints, (100, 100), "mouth"))
    rows, cols = mask[0, :, :, 0].any(1), mask[0, :, :, 0].any(0)
    assert (rows.sum(), cols.sum()) == (30, 60) and mask[0].sum() == 30 * 60
    assert rows[40:70].all() and cols[20:80].all()  # rows are y, cols are x
    assert not mask[1].any()
    upright = np.asarray(part_mask(keypoints, (128, 96), "mouth"))[0, :, :, 0]
    assert upright[51:90, 19:77].all() and upright.sum() == 39 * 58


def test_both_hands_are_one_part_and_one_of_them_is_enough():
    keypoints = np.zeros((1, 137, 3), np.float32)
    keypoints[0, 95:116] = (0.25, 0.25, 1)
    keypoints[0, 95, :2] = 0.125
    left = np.asarray(part_mask(keypoints, (64, 64), "hands"))
    keypoints[0, 116:] = (0.75, 0.75, 1)
    keypoints[0, 116, :2] = 0.875
    both = np.asarray(part_mask(keypoints, (64, 64), "hands"))
    assert left.any() and not left[:, 32:].any() and not left[:, :, 32:].any()
    np.testing.assert_array_equal(both, left | left[:, ::-1, ::-1])
