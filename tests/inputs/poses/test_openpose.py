import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.poses import openpose, pose_folder


def person(x=100.0, y=50.0, size=200.0, hands=True):
    points = np.random.default_rng(0).uniform(0, size, (137, 3)) + (x, y, 0)
    points[:, 2] = 0.9
    parts = np.split(points, (25, 95, 116))
    names = list(openpose._PARTS)
    found = {name: part.ravel().tolist() for name, part in zip(names, parts, strict=True)}
    return found | ({} if hands else {names[2]: [], names[3]: []})


def write(folder: Path, frames):
    for i, people in enumerate(frames):
        (folder / f"talk_{i}_keypoints.json").write_text(json.dumps({"people": people}))


def test_a_person_is_read_whole_and_without_hands(tmp_path):
    write(tmp_path, [[person()], [person(hands=False)], []])
    whole, handless, nobody = (
        openpose.read_people(tmp_path / f"talk_{i}_keypoints.json") for i in range(3)
    )
    np.testing.assert_allclose(whole[0, :25].ravel(), person()["pose_keypoints_2d"], rtol=1e-6)
    assert not handless[0, 95:].any() and len(nobody) == 0


def test_the_largest_is_followed_and_measured_in_the_square(tmp_path, monkeypatch):
    monkeypatch.setattr(pose_folder, "check_number", lambda *_: None)
    speaker, guest = person(), person(700, 300, 80)
    frames = [[guest, speaker] if i % 2 else [speaker, guest] for i in range(12)]
    frames[5] = [guest]
    write(tmp_path, frames)  # 12 files: talk_10 must come after talk_9
    read = list(
        openpose.read_keypoints(tmp_path, Path("talk.mp4"), (100, 50, 400), np.array([0, 1, 1, 5]))
    )
    wanted = (np.reshape(speaker["face_keypoints_2d"], (70, 3))[:, :2] - (100, 50)) / 400
    for keypoints in read[:3]:
        np.testing.assert_allclose(keypoints[25:95, :2], wanted, atol=1e-6)
    assert not read[3].any()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"people": 3}',
        '{"people": [3]}',
        '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}',
        '{"people": [{"pose_keypoints_2d": {"a": 1}}]}',
        '{"people": [{"pose_keypoints_2d": ' + str(["a"] * 75).replace("'", '"') + "}]}",
        '{"people": [{"pose_keypoints_2d": '
        + str([float("nan")] * 75).replace("nan", "NaN")
        + "}]}",
        '{"people": [{"pose_keypoints_2d": ' + str([1e300] * 75) + "}]}",
        '{"people": [{"pose_keypoints_2d": ' + str([0.5] * 75) + "}]}",
        "[" * 100_000,
        "\x00\x80",
    ],
)
def test_garbled_files_are_named(tmp_path, text):
    path = tmp_path / "talk_0_keypoints.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match="talk_0_keypoints"):
        openpose.read_people(path)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="write_json"):
        next(openpose.read_keypoints(tmp_path, Path("talk.mp4"), (0, 0, 64), np.zeros(1, int)))


NUMBERS = st.floats() | st.integers() | st.text(max_size=3) | st.none() | st.lists(st.floats())


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(
    name=st.sampled_from([*openpose._PARTS, "people"]),
    place=st.integers(0, 62),
    value=NUMBERS,
    whole=st.booleans(),
)
def test_damage_gives_keypoints_or_one_error(tmp_path_factory, name, place, value, whole):
    found = person()
    if name in found:
        found[name][place % len(found[name])] = value
    people = value if name == "people" else [{**found, name: value} if whole else found]
    path = tmp_path_factory.mktemp("damaged") / "a.json"
    path.write_text(json.dumps({"people": people}))
    with contextlib.suppress(UserError):
        assert np.isfinite(openpose.read_people(path)).all()


def test_a_crowd_that_fills_memory_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"people": [' + "{}," * 10**6 + "{}]}")
    with pytest.raises(UserError, match="a.json .*it holds 1000001 people"):
        openpose.read_people(tmp_path / "a.json")
