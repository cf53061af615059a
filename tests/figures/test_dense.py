import numpy as np
import pytest

from lumiere_jax.figures import dense, face
from lumiere_jax.figures.dense import draw_figure
from lumiere_jax.figures.face import mean_face

PARTS = np.rint(np.arange(25) * (255 / 24)).astype(np.uint8)


def person(opening=0.02, shift=(0.0, 0.0)):
    """Keypoints of someone facing the camera with both hands up."""
    keypoints = np.zeros((137, 3), np.float32)
    body = {1: (0.5, 0.55), 2: (0.3, 0.57), 5: (0.7, 0.57), 3: (0.2, 0.8), 6: (0.8, 0.8)}
    body |= {4: (0.35, 0.85), 7: (0.65, 0.85), 9: (0.38, 1.1), 12: (0.62, 1.1)}
    for point, place in body.items():
        keypoints[point] = (*place, 1)
    keypoints[25:93, :2] = np.array([0.5, 0.26]) + 0.24 * mean_face()[0][:68]
    keypoints[93, :2], keypoints[94, :2] = (0.446, 0.26), (0.554, 0.26)
    keypoints[90:93, 1] += opening  # the inner edge of the lower lip
    keypoints[80:85, 1] += opening
    for root, x, side in ((95, 0.65, -1), (116, 0.35, 1)):
        keypoints[root, :2] = (x, 0.85)
        for finger in range(5):
            angle = side * (finger - 2) * 0.3
            for joint in range(4):
                reach = 0.08 + 0.035 * joint
                keypoints[root + 1 + 4 * finger + joint, :2] = (
                    x + reach * np.sin(angle),
                    0.85 - reach * np.cos(angle),
                )
    keypoints[25:, 2] = 1
    keypoints[:, :2] += shift
    keypoints[keypoints[:, 2] == 0] = 0
    return keypoints


def at(figure, x, y):
    size = len(figure)
    return figure[int(y * size), int(x * size)]


def only(keypoints, *slices):
    result = np.zeros_like(keypoints)
    for part in slices:
        result[part] = keypoints[part]
    return result


@pytest.mark.parametrize("size", [64, 128, 256])
def test_parts_are_where_the_keypoints_say(size):
    figure = draw_figure(person(), size)
    places = {dense.TORSO: (0.5, 0.9), dense.FACE: (0.5, 0.31), dense.UPPER_ARM_R: (0.25, 0.67)}
    places |= {dense.UPPER_ARM_L: (0.75, 0.67), dense.FOREARM_R: (0.27, 0.83)}
    places |= {dense.FOREARM_L: (0.73, 0.83), dense.RIGHT_HAND: (0.35, 0.78)}
    places |= {dense.LEFT_HAND: (0.65, 0.78)}
    for part, place in places.items():
        assert at(figure, *place)[2] == PARTS[part], part
    assert not at(figure, 0.05, 0.05).any()


def test_coordinates_run_along_and_across_the_limbs_and_over_the_face():
    figure = draw_figure(only(person(), slice(0, 25)), 256)
    along = [at(figure, 0.3 - 0.1 * t, 0.57 + 0.23 * t)[1] for t in (0.1, 0.3, 0.5)]
    np.testing.assert_allclose(along, [25, 76, 128], atol=6)
    across = [at(figure, 0.25 + d, 0.685 + 0.43 * d)[0] for d in (-0.03, 0, 0.03)]
    assert abs(int(across[1]) - 128) < 8 and len({*across}) == 3
    head = draw_figure(only(person(), slice(25, 95)), 256)
    left, right = at(head, 0.42, 0.33), at(head, 0.58, 0.33)
    assert left[1] + 90 < right[1] and left[0] == pytest.approx(right[0], abs=3)
    assert at(head, 0.5, 0.19)[0] + 100 < at(head, 0.5, 0.42)[0]


def test_areas_hold_only_whole_part_numbers():
    figure = draw_figure(only(person(), slice(0, 25), slice(95, 137)), 128)
    assert set(np.unique(figure[..., 2])) <= set(PARTS[[0, 2, 3, 4, 15, 16, 19, 20]])


def test_without_explicit_features_a_face_is_its_part_and_a_hand_one_area():
    plain = draw_figure(person(), 256, explicit=False)
    assert set(np.unique(plain[..., 2])) <= set(PARTS)
    left, right = (plain[..., 2] == PARTS[part] for part in (dense.LEFT_HAND, dense.RIGHT_HAND))
    for hand in (left, right):
        assert hand.any() and not plain[hand][:, 1].any()  # no finger's own coordinate
    tip = person()[95 + 12]
    assert at(plain, *tip[:2] + (0, 0.005))[2] == PARTS[dense.LEFT_HAND]
    spoken = draw_figure(person(opening=0.05), 256, explicit=False)
    np.testing.assert_array_equal(plain, spoken)  # lips alone move nothing
    explicit = draw_figure(person(), 256)
    elsewhere = np.ones((256, 256), bool)
    elsewhere[:130, 80:176] = elsewhere[164:206] = False
    assert plain[elsewhere].any()
    np.testing.assert_array_equal(plain[elsewhere], explicit[elsewhere])


def test_the_open_mouth_grows_with_half_a_pixel():
    """At 128 px these openings are 0 to 3 pixels, in steps of an eighth."""

    def mouth(opening):
        figure = draw_figure(person(opening / 128), 128).astype(float)
        lips = figure[int(0.34 * 128) : int(0.46 * 128), 50:78]
        return (255 - lips[..., 2]).sum()  # the face's blue is 255, the mouth's is 0

    amounts = [mouth(opening) for opening in np.arange(0, 3, 0.125)]
    assert np.all(np.diff(amounts) > 0)
    assert np.diff(amounts).max() < 4 * np.diff(amounts).mean()


def test_eyes_irises_brows_and_lips_have_their_own_colours():
    figure = draw_figure(person(), 1024).reshape(-1, 3)
    for colour in (face.MOUTH, face.LIPS, face.LIDS, face.EYES, face.IRISES, face.BROWS):
        assert (figure == colour).all(1).sum() >= 20, colour


def test_a_closed_eye_hides_its_iris():
    keypoints = person()
    upper, lower = [25 + 37, 25 + 38], [25 + 41, 25 + 40]
    keypoints[upper, 1] = keypoints[lower, 1]
    eye = (slice(120, 146), slice(210, 245))
    shut, wide = (draw_figure(points, 512)[eye] for points in (keypoints, person()))
    dark = [((picture == face.IRISES).all(-1)).sum() for picture in (shut, wide)]
    assert dark[0] < 0.2 * dark[1] and dark[1] > 0


def test_moving_the_person_by_whole_pixels_moves_the_picture():
    silhouette = np.zeros((128, 128), bool)
    silhouette[20:90, 30:80] = True
    still = draw_figure(person(), 128, silhouette)
    moved = draw_figure(
        person(shift=(4 / 128, -3 / 128)), 128, np.roll(silhouette, (-3, 4), (0, 1))
    )
    inside = moved[5:100, 10:110].astype(int), still[8:103, 6:106].astype(int)
    assert (np.abs(inside[0] - inside[1]).max(-1) <= 2).mean() > 0.995


def test_what_is_not_found_is_not_drawn():
    assert not draw_figure(np.zeros((137, 3), np.float32), 128).any()
    keypoints = person()
    keypoints[116:, 2] = 0
    assert not (draw_figure(keypoints, 128)[70:, :, 2] == PARTS[dense.RIGHT_HAND]).any()
    keypoints = person()
    keypoints[[3, 4], 2], keypoints[116:, 2] = 0.1, 0
    blue = draw_figure(keypoints, 128)[70:, :, 2]
    assert not np.isin(blue, PARTS[[dense.UPPER_ARM_R, dense.FOREARM_R]]).any()
    assert (blue == PARTS[dense.UPPER_ARM_L]).any()


def test_fingers_differ_from_their_neighbours():
    figure = draw_figure(only(person(), slice(95, 116)), 256)
    tips = person()[[95 + 4 * finger + 4 for finger in range(5)], :2]
    greens = [int(at(figure, *tip)[1]) for tip in tips]
    assert np.abs(np.diff(greens)).min() >= 90 and len(set(greens)) == 5
    assert all(at(figure, *tip)[2] == PARTS[dense.LEFT_HAND] for tip in tips)


def test_hair_and_clothes_come_from_the_silhouette():
    silhouette = np.zeros((128, 128), bool)
    silhouette[5:, 20:108] = True
    figure = draw_figure(person(), 128, silhouette)
    assert at(figure, 0.5, 0.06)[2] == PARTS[dense.HAIR]
    assert at(figure, 0.2, 0.95)[2] == PARTS[dense.CLOTHES]
    assert ((figure[..., 2] > 0) | figure.any(-1))[silhouette].all()


def test_people_at_the_border_and_far_outside_are_drawn_without_error():
    for shift in ((-0.6, 0), (0.7, 0.4), (0, -0.9), (40, -90)):
        draw_figure(person(shift=shift), 64)
    flat = person()
    flat[:, 0] = 0.5  # seen edge on
    draw_figure(flat, 64)
    flat[:, 1] = 0.5
    draw_figure(flat, 64)


def test_the_same_input_gives_the_same_picture_and_keeps_it():
    keypoints = person()
    before = keypoints.copy()
    np.testing.assert_array_equal(draw_figure(keypoints, 128), draw_figure(keypoints, 128))
    np.testing.assert_array_equal(keypoints, before)
