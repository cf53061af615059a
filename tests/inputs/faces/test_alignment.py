"""Faces are brought to one place whatever the picture, and put back where they were."""

import cv2
import numpy as np
import pytest

from lumiere_jax.inputs.faces import alignment
from lumiere_jax.inputs.faces.alignment import POINTS, align, alignments, moved, paster
from lumiere_jax.keypoints import FACE

SHAPE = (128, 96)


def keypoints_of(scale, angle, x, y, source, frames=1, tremble=0.0):
    """The mean face, turned and scaled, its eyes' middle at (x, y) pixels, in units of `source`."""
    face, _ = alignment.mean_face()
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    pixels = scale * face[:68] @ turn.T + (x, y)
    noise = tremble * np.random.default_rng(0).normal(size=(frames, 68, 2))
    keypoints = np.zeros((frames, 137, 3), np.float32)
    keypoints[:, FACE.start : FACE.start + 68, :2] = (pixels + noise + 0.5) / source[::-1]
    keypoints[:, FACE.start : FACE.start + 68, 2] = 1
    return keypoints


@pytest.mark.parametrize("scale, angle, x, y", [(200, 0.3, 300, 150), (50, -0.5, 90, 80)])
def test_the_mean_face_goes_where_it_belongs_from_anywhere(scale, angle, x, y):
    source = (400, 600)
    keypoints = keypoints_of(scale, angle, x, y, source)
    (transform,) = alignments(keypoints, source, SHAPE)
    assert np.hypot(*transform[:, 0]) == pytest.approx(0.75 * 96 / scale, rel=1e-4)
    face = moved(keypoints[0], transform, source, SHAPE)[FACE.start : FACE.start + 68]
    there = alignment.mean_face()[0][:68] * 0.75 * 96 + (48, 0.41 * 128)
    np.testing.assert_allclose(face[:, :2] * (96, 128), there, atol=0.01)
    np.testing.assert_array_equal(face[:, 2], 1)


def test_only_points_that_hardly_move_in_speech_count():
    source = (400, 600)
    keypoints = keypoints_of(100, 0.1, 300, 150, source)
    spoken = keypoints.copy()
    others = [i for i in range(68) if i not in POINTS]
    spoken[:, [FACE.start + i for i in others], :2] += 0.05
    np.testing.assert_array_equal(
        alignments(spoken, source, SHAPE), alignments(keypoints, source, SHAPE)
    )


def test_trembling_points_do_not_shake_the_picture():
    source = (400, 600)
    trembling = keypoints_of(100, 0, 300, 150, source, frames=50, tremble=1.0)
    shifts = alignments(trembling, source, SHAPE)[:, :, 2]
    alone = np.concatenate([alignments(one[None], source, SHAPE) for one in trembling])[:, :, 2]
    assert np.diff(shifts, axis=0).std() < 0.4 * np.diff(alone, axis=0).std()


@pytest.mark.parametrize("scale", [40, 100, 700])
def test_a_picture_and_its_keypoints_move_together(scale):
    """A dot at a keypoint is found again at the moved keypoint, to half a pixel."""
    source = (1500, 1600)
    keypoints = keypoints_of(scale, 0.2, 800, 500, source)
    place = keypoints[0, FACE.start + 57, :2] * source[::-1] - 0.5
    rows, cols = np.mgrid[: source[0], : source[1]]
    dot = np.exp(-((cols - place[0]) ** 2 + (rows - place[1]) ** 2) / (2 * (scale / 30) ** 2))
    picture = np.repeat(np.round(255 * dot).astype(np.uint8)[..., None], 3, axis=-1)
    (transform,) = alignments(keypoints, source, SHAPE)
    face = align(picture, transform, SHAPE)[..., 0].astype(float)
    assert face.shape == SHAPE
    weights = face / face.sum()
    found = (weights.sum(0) @ np.arange(96), weights.sum(1) @ np.arange(128))
    expected = moved(keypoints[0], transform, source, SHAPE)[FACE.start + 57, :2] * (96, 128) - 0.5
    np.testing.assert_allclose(found, expected, atol=0.3)


def test_fine_stripes_become_grey_and_not_coarse_stripes():
    source = (1000, 1000)
    picture = np.zeros((*source, 3), np.uint8)
    picture[:, ::2] = 255
    (transform,) = alignments(keypoints_of(600, 0, 500, 400, source), source, SHAPE)
    assert align(picture, transform, SHAPE)[..., 0].std() < 12


@pytest.mark.parametrize("x, y", [(200, 150), (20, 10)])
def test_a_face_that_is_put_back_changes_little_and_nothing_outside(x, y):
    generator = np.random.default_rng(0)
    picture = cv2.GaussianBlur(generator.integers(0, 256, (301, 401, 3), np.uint8), (0, 0), 4)
    source = picture.shape[:2]
    (transform,) = alignments(keypoints_of(70, 0.2, x, y, source), source, SHAPE)
    paste = paster(picture, transform, SHAPE)
    before = picture.copy()
    again = paste(align(picture, transform, SHAPE))
    assert np.abs(again.astype(int) - picture).max() <= 12
    white = paste(np.full((*SHAPE, 3), 255, np.uint8))
    np.testing.assert_array_equal(picture, before)
    assert (white[y + 30, x + 10] == 255).all()
    changed = (white != picture).any(-1)
    back = cv2.invertAffineTransform(transform)
    corners = np.array([(0, 0), (96, 0), (96, 128), (0, 128)]) @ back[:, :2].T + back[:, 2]
    inside = cv2.fillConvexPoly(np.zeros(source, np.uint8), np.round(corners).astype(int), 1)
    grown = cv2.dilate(inside, np.ones((5, 5)))
    assert changed.any() and not (changed & ~grown.astype(bool)).any()
