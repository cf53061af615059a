"""Clips posed, settled and drawn by the piece, on footage made here, with poses of each source."""

import contextlib
import dataclasses
import itertools
import json
import shutil
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.clips import posed_pieces
from lumiere_jax.inputs.clips.archived_pieces import draw
from lumiere_jax.inputs.clips.clip_plan import Footage, made_whole
from lumiere_jax.inputs.clips.settling import choose, settle
from lumiere_jax.inputs.dataset import clip_archives
from lumiere_jax.inputs.dataset.columns import APERTURE, FIGURE, FRAME, KEYPOINTS
from lumiere_jax.inputs.dataset.geometry import SQUARE
from lumiere_jax.inputs.dataset.left_out_frames import KEPT, NOBODY, SHORT
from lumiere_jax.inputs.footage import probing, reading
from lumiere_jax.inputs.media import picture_bytes, upright_pictures
from lumiere_jax.inputs.poses import mediapipe
from lumiere_jax.inputs.poses.mediapipe import Found

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
    return probing.probe(path)


WANTED = {"geometry": SQUARE, "columns": (FRAME, FIGURE, KEYPOINTS, APERTURE)}


@pytest.fixture
def read_poses(tmp_path):
    """Makes what the archive holds of a clip: (frame, figure, keypoints) of each frame."""
    numbers = itertools.count()

    def read(source, clip, fps, size, crop=None, poses=None, tick=lambda _: None):
        footage = Footage(
            clip=clip, figure=source, size=size, fps=fps, crop=crop, poses=poses, **WANTED
        )
        made = tmp_path / f"made-{next(numbers)}"
        made.mkdir()
        posed = [made / f"posed-{first}" for first, _ in footage.pieces]
        for piece, folder in zip(footage.pieces, posed, strict=True):
            posed_pieces.pose(footage, piece, folder, None, tick)
        settle(footage, posed, made / "settled", tick)
        examples = []
        for number, (first, stop) in enumerate(footage.pieces):
            folder = made / f"drawn-{number}"
            draw(footage, number, posed, made / "settled", folder, tick)
            examples += clip_archives.read_examples(folder, WANTED["columns"], 0, stop - first)
        return [
            (*(decoded(e[name]) for name in ("frame", "figure")), e["keypoints"]) for e in examples
        ]

    return read


def decoded(picture):
    """None of a frame that is left out."""
    return picture_bytes.decode(picture) if picture else None


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
def test_openpose_goes_with_the_source_frames(clip, tmp_path, read_poses, fps):
    write_openpose(tmp_path / "poses", [[body(i)] for i in range(FRAMES)])
    crop = upright_pictures.Crop(16, 0, 96)
    sources = [source for source, _ in reading.read_frames(clip.path, fps, 64, crop)]
    ticks = []
    poses = read_poses("openpose", clip, fps, 64, crop, tmp_path / "poses", ticks.append)
    assert len(poses) == clip.frames(fps) == len(sources) == sum(ticks) / 2
    necks = [keypoints[1, 0] * 96 + 16 - 20 for _, _, keypoints in poses]
    np.testing.assert_allclose(necks, sources, atol=1e-3)
    assert all(figure.shape == (64, 64, 3) and figure.any() for _, figure, _ in poses)
    levels = [frame.mean() for frame, _, _ in poses]
    np.testing.assert_allclose(levels, 40 + 4 * np.array(sources), atol=3)


def test_the_default_crop_is_the_centre(clip, tmp_path, read_poses):
    write_openpose(tmp_path / "poses", [[body(i)] for i in range(FRAMES)])
    (_, _, keypoints), *_ = read_poses("openpose", clip, Fraction(25), 64, None, tmp_path / "poses")
    np.testing.assert_allclose(keypoints[0, :2], [(64 - 16) / 96, 20 / 96], atol=1e-6)


def codes_of(made):
    return np.fromfile(made / "settled" / clip_archives.LEFT_OUT, np.uint8)


def test_short_gaps_are_filled_and_long_ones_left_out(clip, tmp_path, read_poses, capsys):
    people = [[body(i)] if i not in (10, 11) else [] for i in range(FRAMES)]
    write_openpose(tmp_path / "poses", people)
    fps = Fraction(25)
    poses = read_poses("openpose", clip, fps, 64, None, tmp_path / "poses")
    necks = [keypoints[1, 0] * 96 + 16 - 20 for _, _, keypoints in poses]
    np.testing.assert_allclose(necks, np.arange(len(poses)), atol=1e-3)
    assert not codes_of(tmp_path / "made-0").any()
    assert "talk.mp4: 2 of 50 frames take a neighbour's pose" in capsys.readouterr().out
    # Ten frames without anybody before a second and more of somebody.
    write_openpose(tmp_path / "late", [found if i >= 10 else [] for i, found in enumerate(people)])
    poses = read_poses("openpose", clip, fps, 64, None, tmp_path / "late")
    codes = codes_of(tmp_path / "made-1")
    # Gaps next to each other are one.
    assert np.flatnonzero(codes).tolist() == list(range(12)) and set(codes[:12]) == {NOBODY}
    assert [figure is None for _, figure, _ in poses] == 12 * [True] + 38 * [False]
    write_openpose(tmp_path / "none", [[]] * FRAMES)
    read_poses("openpose", clip, fps, 64, None, tmp_path / "none")
    assert set(codes_of(tmp_path / "made-2")) == {NOBODY}


def write_iuv(folder, frames):
    folder.mkdir()
    for i in range(frames):
        iuv = np.zeros((ROWS, COLS, 3), np.uint8)
        if i != 7:
            iuv[20:80, 40:90] = (2, 3 * i, 200)
        cv2.imwrite(str(folder / f"f{i}_IUV.png"), iuv)


def test_densepose_goes_with_the_source_frames(clip, tmp_path, read_poses):
    write_iuv(tmp_path / "poses", FRAMES)
    fps = Fraction(30)
    sources = [source for source, _ in reading.read_frames(clip.path, fps, 64)]
    poses = read_poses("densepose", clip, fps, 64, None, tmp_path / "poses")
    greens = np.array([figure[32, 32, 1] for _, figure, _ in poses]) / 3
    wanted = np.array(sources)
    gap = wanted == 7
    np.testing.assert_array_equal(greens[~gap], wanted[~gap])
    assert np.isin(greens[gap], (6, 8)).all()
    assert not any(keypoints.any() for _, _, keypoints in poses)


@pytest.mark.parametrize("source", ["openpose", "densepose"])
def test_another_number_than_the_footages_is_an_error_with_both(clip, tmp_path, read_poses, source):
    if source == "openpose":
        write_openpose(tmp_path / "poses", [[body(i)] for i in range(FRAMES - 1)])
    else:
        write_iuv(tmp_path / "poses", FRAMES - 1)
    with pytest.raises(UserError, match=rf"{FRAMES - 1} poses.*{FRAMES} frames"):
        read_poses(source, clip, Fraction(30), 64, None, tmp_path / "poses")


def stand_in(monkeypatch, estimate):
    """`estimate(level, t, choice)` in MediaPipe's place: t counts since the estimator began."""

    @contextlib.contextmanager
    def open_estimator(size):
        def video(pictures, choices=None):
            choices = itertools.repeat(None) if choices is None else choices
            for t, (picture, choice) in enumerate(zip(pictures, choices, strict=False)):
                assert picture.shape == (mediapipe.SIDE, mediapipe.SIDE, 3)
                yield estimate(round((float(picture.mean()) - 40) / 4), t, choice, size)

        yield video

    monkeypatch.setattr(mediapipe, "open_estimator", open_estimator)
    posed_pieces.release()


def found(size, height=None, row=None, faces=(), followed=-1, seconds=0.5):
    keypoints, silhouette = np.zeros((137, 3), np.float32), np.zeros((size, size), bool)
    boxes = np.zeros((8, 4), np.float32)
    if height is not None:
        keypoints[0], silhouette[row] = (0.5, height, 1), True
    for box, face in zip(boxes, faces, strict=False):
        box[:] = face
    return Found(keypoints, silhouette, boxes, followed, seconds)


@pytest.fixture
def short_pieces(monkeypatch, clip):
    """Pieces of a tenth of the clip, each warmed up for a fifth of a second."""
    monkeypatch.setattr("lumiere_jax.inputs.clips.clip_plan.PIECE_SECONDS", Fraction(1, 5))
    monkeypatch.setattr("lumiere_jax.inputs.clips.clip_plan.WARM_UP_SECONDS", Fraction(1, 5))
    yield dataclasses.replace(clip, entry=0.2)
    posed_pieces.release()


def test_mediapipes_silhouettes_go_with_their_frames(short_pieces, monkeypatch, read_poses):
    """Gaps take the silhouette of the nearest frame, though it is in another piece, and the odd
    number of bits is unpacked."""
    missing = (0, 20, 24, 25)

    def estimate(level, t, choice, size):
        return found(size) if level in missing else found(size, level / 100, level)

    stand_in(monkeypatch, estimate)
    poses = read_poses("mediapipe", short_pieces, Fraction(25), 65)
    rows = [np.flatnonzero(figure.any((1, 2))).tolist() for _, figure, _ in poses]
    frames = np.arange(len(poses))
    wanted = {0: 1, 20: 19, 24: 23, 25: 26}
    assert rows == [[wanted.get(i, i)] for i in frames]
    heights = [keypoints[0, 1] for _, _, keypoints in poses]
    np.testing.assert_allclose(heights[1:], frames[1:] / 100, atol=1e-6)


def test_pieces_meet_and_are_cut_by_the_clip_alone(clip):
    def of(seconds, entry=1.0, fps=Fraction(30)):
        changed = dataclasses.replace(clip, seconds=seconds, entry=entry)
        return Footage(clip=changed, figure="mediapipe", size=64, fps=fps, **WANTED)

    for seconds, number in ((7.0, 1), (20.0, 2), (3600.0, 360)):
        footage = of(seconds)
        cuts = [0, *(stop for _, stop in footage.pieces)]
        assert footage.pieces == list(zip(cuts, cuts[1:], strict=False))
        assert cuts[-1] == footage.frames and len(footage.pieces) == number
    assert len(of(60.0, entry=float("inf")).pieces) == len(of(60.0, entry=21.0).pieces) == 1
    assert [of(20.0).warm_up(piece) for piece in of(20.0).pieces] == [0, 30]


def test_the_first_second_of_an_estimator_is_thrown_away(short_pieces, monkeypatch, read_poses):
    """But at the clip's start: each frame tells how many its estimator saw before it."""
    stand_in(monkeypatch, lambda level, t, choice, size: found(size, t / 100, level))
    poses = read_poses("mediapipe", short_pieces, Fraction(25), 64)
    ages = np.rint([100 * keypoints[0, 1] for _, _, keypoints in poses]).tolist()
    assert len(poses) == 50
    assert ages == [*range(5), *(5 * list(range(5, 10))), *(4 * list(range(5, 10)))]


def test_one_person_is_followed_through_all_pieces(short_pieces, tmp_path, monkeypatch):
    """Each piece follows the larger face of its own; over the clip, that is the other one twice."""
    speaker, guest = (0.1, 0.1, 0.4, 0.4), (0.6, 0.1, 0.8, 0.3)
    leaning = (0.55, 0.05, 0.95, 0.45)

    def estimate(level, t, choice, size):
        faces = [leaning if 20 <= level < 30 else guest, speaker][:: -1 if level % 2 else 1]
        own = faces.index(speaker) if level < 20 or level >= 30 else 1 - faces.index(speaker)
        return found(size, 0.1, level, faces, own if choice is None else choice)

    stand_in(monkeypatch, estimate)
    footage = Footage(clip=short_pieces, figure="mediapipe", size=64, fps=Fraction(25), **WANTED)
    posed = [tmp_path / f"posed-{first}" for first, _ in footage.pieces]
    for piece, folder in zip(footage.pieces, posed, strict=True):
        posed_pieces.pose(footage, piece, folder, None, lambda _: None)
    chosen, others = choose(footage, posed)
    assert chosen.tolist() == [0 if level % 2 else 1 for level in range(50)]
    assert others == [4, 5, 6]  # the last was warmed up by frames of the other
    for number in others:
        shutil.rmtree(posed[number])
        posed_pieces.pose(footage, footage.pieces[number], posed[number], chosen, lambda _: None)
    again, others = choose(footage, posed)
    assert again.tolist() == chosen.tolist() and not others


def test_frames_that_show_others_alone_are_left_out(
    short_pieces, monkeypatch, read_poses, tmp_path
):
    """The pose that is found there is theirs."""
    speaker, guest = (0.1, 0.1, 0.4, 0.4), (0.6, 0.1, 0.8, 0.3)

    def estimate(level, t, choice, size):
        there = not 10 <= level < 20
        own = (0 if there else -1) if choice is None else choice
        return found(size, 0.1, level, [speaker, guest] if there else [guest], own)

    stand_in(monkeypatch, estimate)
    read_poses("mediapipe", short_pieces, Fraction(25), 64)
    # What is before lasts for less than a second.
    codes = codes_of(tmp_path / "made-0").tolist()
    assert codes == 10 * [SHORT] + 10 * [NOBODY] + 30 * [KEPT]


def test_what_takes_its_name_is_whole(tmp_path):
    folder = tmp_path / "a" / "posed"
    with pytest.raises(FileNotFoundError), made_whole(folder):
        pass
    assert not folder.parent.exists()  # its disk may be gone
    folder.parent.mkdir()
    with pytest.raises(ZeroDivisionError), made_whole(folder) as made:
        (made / "half").touch()
        raise ZeroDivisionError
    assert not list(folder.parent.iterdir())
    for text in ("first", "second"):
        with made_whole(folder) as made:
            (made / "text").write_text(text)
    assert (folder / "text").read_text() == "first"
    assert list(folder.parent.iterdir()) == [folder]
