import dataclasses

import numpy as np
import pytest

from lumiere_jax.inputs.dataset.lectures import Dataset, open_dataset
from lumiere_jax.measures.face_width import face_width, small_face


def keypoints(width, frames=5):
    """Jaws of a width, a share of the picture."""
    points = np.zeros((frames, 137, 3), np.float32)
    points[:, 25:42, 0] = 0.5 + width * np.linspace(-0.5, 0.5, 17)
    points[:, 25:42, 2] = 1
    return points


def test_a_width_is_the_median_of_the_frames_that_show_a_face():
    points = keypoints(0.25)
    points[1, 25:42, 2] = 0
    points[1, 25:42, 0] = 0
    points[2] = keypoints(0.9, 1)[0]
    assert face_width(points, 128) == pytest.approx(32)
    assert face_width(np.zeros((4, 137, 3), np.float32), 128) is None


@pytest.mark.parametrize("width, said", [(0.25, True), (0.3125, False), (0.5, False)])
def test_a_small_face_is_told_with_its_size(monkeypatch, drawn, width, said):
    records = [{"keypoints": keypoints(width, 1)[0]} for _ in range(7)]
    monkeypatch.setattr(Dataset, "records", lambda self, split: records)
    footage = dataclasses.replace(open_dataset(drawn), drawn_seed=None, size=128)
    sentence = small_face(footage)
    assert bool(sentence) == said
    if sentence:
        assert "the face is 32 px wide in pictures of 128 px" in sentence
    assert small_face(dataclasses.replace(footage, drawn_seed=0)) is None
