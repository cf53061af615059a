"""Faces in pictures of any shape are found and aligned; what holds none is refused."""

import cv2
import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.figures.face import mean_face
from lumiere_jax.inputs.faces.alignment import EYES, POINTS, WIDTH
from lumiere_jax.inputs.faces.stills import find_face, read_picture
from lumiere_jax.keypoints import FACE
from lumiere_jax.measures.mouth_landmarks import open_finder

SHAPE = (128, 96)


@pytest.mark.parametrize("shape, at", [((601, 1003), (100, 480)), ((901, 560), (400, 60))])
def test_a_face_anywhere_in_a_picture_comes_where_the_mean_face_is(portrait, tmp_path, shape, at):
    picture = np.full((*shape, 3), 90, np.uint8)
    rows, cols = portrait.shape[:2]
    picture[at[0] : at[0] + rows, at[1] : at[1] + cols] = portrait
    path = tmp_path / "ada.png"
    cv2.imwrite(str(path), picture[..., ::-1])
    read = read_picture(path)
    assert all(n % 2 == 0 for n in read.shape[:2])
    still = find_face(path, read, SHAPE)
    assert still.face.shape == (*SHAPE, 3)
    with open_finder() as find:
        points = find(still.face[None])[0, [FACE.start + i for i in POINTS], :2] * SHAPE[::-1]
    there = mean_face()[0][list(POINTS)] * WIDTH * 96 + np.array(EYES) * SHAPE[::-1]
    away = (points - there) / (WIDTH * 96)
    assert np.linalg.norm(away, axis=-1).max() < 0.12
    assert np.linalg.norm(away.mean(0)) < 0.03


def test_a_picture_without_a_face_is_refused_and_a_small_one_is_told_of(portrait, tmp_path, capsys):
    with pytest.raises(UserError, match="wall.png: no face is found in it"):
        find_face(tmp_path / "wall.png", np.full((200, 300, 3), 90, np.uint8), SHAPE)
    small = cv2.resize(portrait, (64, 64), interpolation=cv2.INTER_AREA)
    find_face(tmp_path / "thumb.png", small, SHAPE)
    assert "thumb.png: its face is enlarged" in capsys.readouterr().out
    face = np.zeros((*SHAPE, 3), np.uint8)
    still = find_face(tmp_path / "face.png", face, SHAPE)
    assert still.face is face and "taken for one" in capsys.readouterr().out
