"""The parts of a person and of a face."""

import numpy as np

from lumiere_jax import keypoints
from lumiere_jax.figures.face import mean_face


def test_the_parts_follow_each_other_and_are_all_points():
    points = np.concatenate([np.arange(keypoints.POINTS)[part] for part in keypoints.PARTS])
    np.testing.assert_array_equal(points, np.arange(137))
    assert [keypoints.count(part) for part in keypoints.PARTS] == [25, 70, 21, 21]


def test_a_part_of_the_face_stands_behind_the_body():
    assert keypoints.of_person(keypoints.JAW) == slice(25, 42)
    assert keypoints.of_person(keypoints.LIPS) == slice(73, 93)


def test_the_mean_face_has_its_parts_where_they_are_named():
    face, _ = mean_face()
    right, left = face[keypoints.RIGHT_EYE].mean(0), face[keypoints.LEFT_EYE].mean(0)
    lips = face[keypoints.LIPS].mean(0)
    assert right[0] < lips[0] < left[0] and right[1] < lips[1] < face[keypoints.CHIN, 1]
    assert np.argmax(face[keypoints.JAW, 1]) == keypoints.CHIN
    inner, outer = face[keypoints.INNER_LIPS], face[keypoints.OUTER_LIPS]
    assert (np.ptp(inner, axis=0) < np.ptp(outer, axis=0)).all()
    assert abs(face[keypoints.NOSE_BRIDGE, 0]) < 1e-9
