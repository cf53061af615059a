import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.poses import pose_folder


def test_names_sort_by_their_numbers():
    names = ["f10_IUV.png", "f9_IUV.png", "f010_IUV.png", "a_2_1", "a_1_12", "7", ""]
    assert sorted(names[:2], key=pose_folder.natural) == ["f9_IUV.png", "f10_IUV.png"]
    sorted(names, key=pose_folder.natural)  # numbers and words compare


def test_the_clips_own_folder_comes_before_the_common_one(tmp_path):
    with pytest.raises(UserError, match="is empty: --poses wants the folder of openpose files"):
        pose_folder.pose_folder(tmp_path, "a", "openpose")
    (tmp_path / "0.json").touch()
    assert pose_folder.pose_folder(tmp_path, "a", "openpose") == tmp_path
    with pytest.raises(UserError, match="a is not there: of several clips, each has its own"):
        pose_folder.pose_folder(tmp_path, "a", "openpose", alone=False)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.json").touch()
    assert pose_folder.pose_folder(tmp_path, "a", "openpose") == tmp_path / "a"
    with pytest.raises(UserError, match="--poses"):
        pose_folder.pose_folder(None, "a", "openpose")
    with pytest.raises(UserError, match="nowhere"):
        pose_folder.pose_folder(tmp_path / "nowhere", "a", "openpose")


def test_clips_of_one_file_name_have_folders_of_their_own(tmp_path):
    for name in ("s1-talk", "s2-talk"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.json").touch()
        found = pose_folder.pose_folder(tmp_path, name, "openpose", alone=False)
        assert found == tmp_path / name


def test_the_largest_that_persists_is_followed_whatever_the_order():
    generator = np.random.default_rng(0)
    speaker, guest = np.array([100, 100, 300, 400.0]), np.array([500, 150, 600, 300.0])
    passing = np.array([0, 0, 640, 480.0])  # larger than either, for two frames
    boxes, truth = [], []
    for frame in range(50):
        people = [speaker + frame, guest - frame] + [passing] * (frame in (20, 21))
        order = generator.permutation(len(people))
        present = [i for i in order if i or frame != 30]
        boxes.append(np.array([people[i] for i in present]))
        truth.append(present.index(0) if 0 in present else -1)
    chosen = pose_folder.follow(boxes)
    np.testing.assert_array_equal(chosen, truth)


def test_nobody_anywhere():
    np.testing.assert_array_equal(pose_folder.follow([np.zeros((0, 4))] * 3), [-1, -1, -1])
