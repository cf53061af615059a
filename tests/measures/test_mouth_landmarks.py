import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.poses import mediapipe
from lumiere_jax.measures import mouth_landmarks


def face(opening, height=0.4, confidence=1.0):
    """Keypoints of a face whose inner lips are apart by `opening` of the picture."""
    keypoints = np.zeros((1, 137, 3), np.float32)
    points = keypoints[0, 25:93]
    points[:] = (0.5, 0.5, confidence)
    points[27, 1], points[8, 1] = 0.2, 0.2 + height
    points[61:64, 0] = points[[67, 66, 65], 0] = (0.45, 0.5, 0.55)
    points[61:64, 1], points[65:68, 1] = 0.5 - opening / 2, 0.5 + opening / 2
    return keypoints


def test_the_aperture_is_the_lips_opening_over_the_faces_height():
    for opening, height in ((0.0, 0.4), (0.02, 0.4), (0.02, 0.2)):
        found = mouth_landmarks.aperture(face(opening, height), (64, 64))
        np.testing.assert_allclose(found, opening / height, rtol=1e-4, atol=1e-6)
    assert np.isnan(mouth_landmarks.aperture(face(0.02, confidence=0.0), (64, 64))).all()
    turned = face(0.02)
    turned[0, 25 + np.array([61, 62, 63]), 0] += 0.02
    found = mouth_landmarks.aperture(turned, (128, 96))
    np.testing.assert_allclose(found, 0.02 * np.hypot(128, 96) / (0.4 * 128), rtol=1e-4)


def test_the_lips_points_are_pixels_and_nan_without_a_face():
    points = mouth_landmarks.mouth_points(face(0.02), (200, 150))
    np.testing.assert_allclose(points[0, 48 - 48], [75, 100])
    np.testing.assert_allclose(points[0, 66 - 48], [75, 102], rtol=1e-5)
    assert np.isnan(mouth_landmarks.mouth_points(face(0.02, confidence=0.0), (200, 200))).all()


def stand_in(tmp_path, monkeypatch, body):
    program = tmp_path / "holistic.py"
    program.write_text("import sys\nout = sys.stdout.buffer\n" + body)
    monkeypatch.setattr(mediapipe, "_PROGRAM", program)


def test_keypoints_come_for_each_piece_of_frames_before_the_next_is_there(tmp_path, monkeypatch):
    """The stand-in finds a left hand at the brightness of the picture that it is given."""
    stand_in(
        tmp_path,
        monkeypatch,
        "import struct\nout.write(b'ready\\n'); out.flush()\n"
        "while data := sys.stdin.buffer.read(2 + 512 * 512 * 3):\n"
        "    hand = struct.pack('<42f', *[data[-1] / 255] * 42)\n"
        "    out.write(bytes([0, 0, 1, 0]) + bytes(4 * (99 + 956)) + hand)\n"
        "    out.write(bytes(4 * (42 + 34) + 8)); out.flush()\n",
    )
    with mouth_landmarks.open_finder() as find:
        for levels in ([10, 200], [30], [255, 0, 90]):
            frames = np.array(levels, np.uint8)[:, None, None, None] * np.ones(
                (64, 64, 3), np.uint8
            )
            keypoints = find(frames)
            np.testing.assert_allclose(keypoints[:, 95, 0], np.array(levels) / 255, rtol=1e-5)
        # Of an upright picture in the middle of its square.
        hand = find(np.full((1, 128, 96, 3), 102, np.uint8))[0, 95, :2]
        np.testing.assert_allclose(hand, [(0.4 * 128 - 16) / 96, 0.4], rtol=1e-5)


def test_a_program_that_cannot_start_is_noticed_at_once(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "sys.exit('no network here')\n")
    with pytest.raises(UserError, match="no network here"), mouth_landmarks.open_finder():
        pytest.fail("nothing can be found without it")
