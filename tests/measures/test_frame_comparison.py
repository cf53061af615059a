"""Frames beside real ones."""

import numpy as np

from lumiere_jax.measures import frame_comparison


def frames_and_keypoints(n):
    generator = np.random.default_rng(0)
    true = generator.integers(0, 256, (n, 64, 64, 3), dtype=np.uint8)
    made = np.clip(true + generator.normal(0, 9, true.shape), 0, 255).astype(np.uint8)
    keypoints = np.zeros((n, 137, 3), np.float32)
    keypoints[:, 25:95] = generator.uniform(0.4, 0.6, (n, 70, 3))
    keypoints[:, 25:95, 2] = 1
    return made, true, keypoints


def test_shuffled_rows_are_the_same_rows_and_no_block_keeps_its_place():
    rows = np.arange(820.0)[:, None].repeat(40, 1)
    wrong = frame_comparison.shuffled(rows, 30)
    assert np.array_equal(np.sort(wrong, axis=0), rows)
    assert np.mean(wrong == rows) < 0.02
    assert np.array_equal(wrong, frame_comparison.shuffled(rows, 30))
    # Whole blocks move, so that what is heard is still speech.
    assert np.mean(np.diff(wrong[:, 0]) == 1) > 0.95
    assert frame_comparison.shuffled(rows[:3], 30).shape == (3, 40)


def test_frames_are_compared_alike_in_one_piece_and_in_many():
    """Also where a piece is longer than a batch, and where it is a single frame."""
    made, true, keypoints = frames_and_keypoints(19)
    whole = frame_comparison.compare(made, true, keypoints)
    pieces, before = [], None
    for piece in (slice(0, 11), slice(11, 12), slice(12, 19)):
        pieces.append(frame_comparison.compare(made[piece], true[piece], keypoints[piece], before))
        before = made[piece][-1], true[piece][-1]
    for name, values in whole.items():
        joined = np.concatenate([piece[name] for piece in pieces])
        np.testing.assert_allclose(joined, values, rtol=1e-5, err_msg=name)
    assert np.isfinite(whole["mouth_psnr"]).all() and np.isnan(whole["hands_psnr"]).all()
    assert np.isnan(whole["flicker"]).nonzero()[0].tolist() == [0]


def test_the_mouths_distance_is_in_pixels_and_beside_it_in_widths():
    _, _, true = frames_and_keypoints(2)
    made = true.copy()
    made[0, 73:93, :2] += 0.1  # elsewhere, but the same
    lips = made[1, 73:93, :2]
    lips[:] = lips.mean(0) + 2 * (lips - lips.mean(0))
    radius = np.linalg.norm(true[1, 73:93, :2] - true[1, 73:93, :2].mean(0), axis=1).mean()
    width = np.linalg.norm(true[1, 79, :2] - true[1, 73, :2])
    found = frame_comparison.compare_mouths(made, true, (200, 200))
    np.testing.assert_allclose(
        found["mouth_landmark_distance"], [0, 200 * radius], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        found["relative_mouth_landmark_distance"][1], radius / width, rtol=1e-4
    )
