import numpy as np

from lumiere_jax.figures.skeleton import draw_skeleton


def arm(confidence=1.0):
    keypoints = np.zeros((137, 3), np.float32)
    keypoints[2] = (0.25, 0.5, confidence)
    keypoints[3] = (0.75, 0.5, confidence)
    return keypoints


def test_a_limb_is_a_line_of_its_colour_with_dots_at_the_ends():
    picture = draw_skeleton(arm(), 512)
    np.testing.assert_array_equal(picture[256, 256], (153, 102, 0))  # the right upper arm
    heights = [(picture[:, x] > 0).any(-1).sum() for x in (256, 128)]
    assert 6 <= heights[0] <= 9 and 12 <= heights[1] <= 16  # and what is anti-aliased
    assert not picture[:, :118].any() and not picture[:, 395:].any()


def test_widths_follow_the_size():
    drawn = [draw_skeleton(arm(), size)[:, size // 2, 0].sum() / 153 for size in (256, 512, 1024)]
    np.testing.assert_allclose(drawn, (3, 6, 12), atol=3)  # cv2's anti-aliasing adds a rim


def test_confidence_decides():
    assert not draw_skeleton(arm(0.01), 128).any() and draw_skeleton(arm(0.02), 128).any()
    face = np.zeros((137, 3), np.float32)
    face[25 + 27 : 25 + 31] = [(0.5, 0.4 + 0.05 * i, 0.1) for i in range(4)]
    assert not draw_skeleton(face, 128).any()
    face[:, 2] *= 1.1
    assert draw_skeleton(face, 128).any()


def test_the_jaw_is_left_out():
    face = np.zeros((137, 3), np.float32)
    face[25:42] = [(0.1 + 0.05 * i, 0.5, 1) for i in range(17)]
    assert not draw_skeleton(face, 128).any()


def test_crossing_limbs_are_averaged():
    keypoints = arm()
    keypoints[5], keypoints[6] = (0.5, 0.25, 1), (0.5, 0.75, 1)
    crossing = draw_skeleton(keypoints, 512)[256, 256]
    np.testing.assert_allclose(crossing, np.mean([(153, 102, 0), (51, 153, 0)], 0), atol=1)


def test_fingers_have_five_hues():
    hand = np.zeros((137, 3), np.float32)
    for i in range(21):
        finger, joint = divmod(i - 1, 4)
        hand[95 + i] = (0.2 + 0.15 * finger, 0.8 - 0.1 * (joint + 1), 1) if i else (0.5, 0.95, 1)
    picture = draw_skeleton(hand, 512)
    colours = {tuple(picture[int(0.55 * 512), int((0.2 + 0.15 * f) * 512)]) for f in range(5)}
    assert len(colours) == 5 and all(max(colour) == 204 for colour in colours)
