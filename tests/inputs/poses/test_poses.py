"""`read_poses` on footage that is made here, with poses from each source."""

import itertools
import json
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs import media
from lumiere_jax.inputs.poses import mediapipe, read_poses

FRAMES, ROWS, COLS = 50, 96, 128


@pytest.fixture
def clip(tmp_path):
    """Two seconds at 25 fps; the picture's red says which source frame it is."""
    path = tmp_path / "talk.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "0"})
        video.width, video.height, video.pix_fmt = COLS, ROWS, "yuv444p"
        audio = container.add_stream("aac", rate=16000, layout="mono")
        for i in range(FRAMES):
            picture = np.full((ROWS, COLS, 3), 40 + 4 * i, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for start in range(0, 32000, 1000):
            sound = av.AudioFrame.from_ndarray(
                np.full((1, 1000), 0.1, np.float32), format="fltp", layout="mono"
            )
            sound.sample_rate, sound.pts = 16000, start
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return media.probe(path)


def body(i):
    """A person whose neck tells the source frame, in pixels."""
    numbers = np.zeros((25, 3))
    numbers[[0, 1, 2, 5]] = [(64, 20, 1), (20 + i, 50, 1), (40, 52, 1), (88, 52, 1)]
    return {"pose_keypoints_2d": numbers.ravel().tolist()}


def write_openpose(folder, people):
    folder.mkdir()
    for i, found in enumerate(people):
        (folder / f"talk_{i}_keypoints.json").write_text(json.dumps({"people": found}))


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30), Fraction(10)])
def test_openpose_goes_with_the_source_frames(clip, tmp_path, fps):
    write_openpose(tmp_path / "poses", [[body(i)] for i in range(FRAMES)])
    crop = media.Crop(16, 0, 96)
    sources = [source for source, _ in media.read_frames(clip.path, fps, 64, crop)]
    ticks = itertools.count()
    folder = tmp_path / "poses"
    poses = list(read_poses("openpose", clip, fps, 64, crop, folder, lambda: next(ticks)))
    assert len(poses) == clip.frames(fps) == len(sources) == next(ticks)
    necks = [pose.keypoints[1, 0] * 96 + 16 - 20 for pose in poses]
    np.testing.assert_allclose(necks, sources, atol=1e-3)
    assert all(pose.figure.shape == (64, 64, 3) and pose.figure.any() for pose in poses)


def test_the_default_crop_is_the_centre(clip, tmp_path):
    write_openpose(tmp_path / "poses", [[body(i)] for i in range(FRAMES)])
    pose = next(read_poses("openpose", clip, Fraction(25), 64, None, tmp_path / "poses"))
    np.testing.assert_allclose(pose.keypoints[0, :2], [(64 - 16) / 96, 20 / 96], atol=1e-6)


def test_gaps_are_filled_and_too_many_are_an_error(clip, tmp_path):
    people = [[body(i)] if i not in (10, 11) else [] for i in range(FRAMES)]
    write_openpose(tmp_path / "poses", people)
    fps = Fraction(25)
    poses = list(read_poses("openpose", clip, fps, 64, None, tmp_path / "poses"))
    necks = [pose.keypoints[1, 0] * 96 + 16 - 20 for pose in poses]
    np.testing.assert_allclose(necks, np.arange(len(poses)), atol=1e-3)
    write_openpose(tmp_path / "few", [found if i % 5 else [] for i, found in enumerate(people)])
    with pytest.raises(UserError, match=r"talk\.mp4.*nobody is found in 1\d of 5\d.*00:00\.4"):
        next(read_poses("openpose", clip, fps, 64, None, tmp_path / "few"))
    write_openpose(tmp_path / "none", [[]] * FRAMES)
    with pytest.raises(UserError, match="nobody"):
        next(read_poses("openpose", clip, fps, 64, None, tmp_path / "none"))


def write_iuv(folder, frames):
    folder.mkdir()
    for i in range(frames):
        iuv = np.zeros((ROWS, COLS, 3), np.uint8)
        if i != 7:
            iuv[20:80, 40:90] = (2, 3 * i, 200)
        cv2.imwrite(str(folder / f"f{i}_IUV.png"), iuv)


def test_densepose_goes_with_the_source_frames(clip, tmp_path):
    write_iuv(tmp_path / "poses", FRAMES)
    fps = Fraction(30)
    sources = [source for source, _ in media.read_frames(clip.path, fps, 64)]
    poses = list(read_poses("densepose", clip, fps, 64, None, tmp_path / "poses"))
    greens = np.array([pose.figure[32, 32, 1] for pose in poses]) / 3
    wanted = np.array(sources)
    gap = wanted == 7
    np.testing.assert_array_equal(greens[~gap], wanted[~gap])
    assert np.isin(greens[gap], (6, 8)).all()
    assert not any(pose.keypoints.any() for pose in poses)


@pytest.mark.parametrize("source", ["openpose", "densepose"])
def test_another_number_than_the_footages_is_an_error_with_both(clip, tmp_path, source):
    if source == "openpose":
        write_openpose(tmp_path / "poses", [[body(i)] for i in range(FRAMES - 1)])
    else:
        write_iuv(tmp_path / "poses", FRAMES - 1)
    with pytest.raises(UserError, match=rf"{FRAMES - 1} poses.*{FRAMES} frames"):
        next(read_poses(source, clip, Fraction(30), 64, None, tmp_path / "poses"))


def test_folders_are_checked_at_once(clip, tmp_path):
    with pytest.raises(UserError, match="--poses"):
        read_poses("openpose", clip, Fraction(30), 64)
    with pytest.raises(UserError, match="--poses"):
        read_poses("mediapipe", clip, Fraction(30), 64, None, tmp_path)


def test_mediapipes_silhouettes_go_with_their_frames(clip, monkeypatch):
    """Gaps take the silhouette of the nearest frame, and the odd number of bits is unpacked."""

    def read_landmarks(pictures, size):
        for i, picture in enumerate(pictures):
            assert picture.shape == (mediapipe.SIDE, mediapipe.SIDE, 3)
            keypoints, silhouette = np.zeros((137, 3), np.float32), np.zeros((size, size), bool)
            if i not in (0, 20):
                keypoints[0], silhouette[i] = (0.5, i / 100, 1), True
            yield keypoints, silhouette

    monkeypatch.setattr(mediapipe, "read_landmarks", read_landmarks)
    poses = list(read_poses("mediapipe", clip, Fraction(25), 65))
    rows = [np.flatnonzero(pose.figure.any((1, 2))).tolist() for pose in poses]
    frames = np.arange(len(poses))
    assert rows == [[1 if i == 0 else 19 if i == 20 else i] for i in frames]
    heights = [pose.keypoints[0, 1] for pose in poses]
    np.testing.assert_allclose(heights[1:], frames[1:] / 100, atol=1e-6)
