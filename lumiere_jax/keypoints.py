"""Indices of a person's 137 keypoints: body, face and hands, and the parts of the face.

Body 25 (OpenPose's BODY_25), face 70 (68 landmarks, then two pupils), left hand 21, right hand 21.
Left and right are the person's.
"""

BODY, FACE = slice(0, 25), slice(25, 95)
LEFT_HAND, RIGHT_HAND = slice(95, 116), slice(116, 137)
PARTS = (BODY, FACE, LEFT_HAND, RIGHT_HAND)
POINTS = 137
"""Number of a person's keypoints."""

# From here on, indices among the points of a face.
LANDMARKS = slice(0, 68)
JAW, RIGHT_EYE, LEFT_EYE, LIPS = slice(0, 17), slice(36, 42), slice(42, 48), slice(48, 68)
OUTER_LIPS, INNER_LIPS = slice(48, 60), slice(60, 68)
CHIN, NOSE_BRIDGE = 8, 27
RIGHT_PUPIL, LEFT_PUPIL = 68, 69


def count(part: slice) -> int:
    """Returns the number of points in a part."""
    return part.stop - part.start


def of_person(part: slice) -> slice:
    """Converts indices among the face's points to indices among a person's keypoints."""
    return slice(FACE.start + part.start, FACE.start + part.stop)
