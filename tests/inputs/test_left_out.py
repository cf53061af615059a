"""What is left out, on thumbnails of somebody who moves in front of a wall, and in words."""

import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs import judging, left_out
from lumiere_jax.inputs.left_out import BLANK, FROZEN, KEPT, NO_PICTURE, NO_SOUND, SCENE, SHORT

FPS = Fraction(25)
EASE = np.arange(1, 12)[:, None, None, None] / 12


def scene(seed, frames=100):
    """A wall of coarse noise, and a light square that walks in front of it."""
    random = np.random.default_rng(seed)
    wall = random.integers(20, 200, (8, 8, 3)).repeat(4, 0).repeat(4, 1)
    pictures = np.repeat(wall[None], frames, 0)
    for t in range(frames):
        x = 10 + round(4 * (1 + np.sin(t / 10)))
        pictures[t, 16:28, x : x + 4] = 150 - t % 2 * 20
    return pictures.astype(np.uint8)


def runs_of(codes):
    return [(first, stop, codes[first]) for first, stop in left_out.runs(codes > KEPT)]


def judged(pictures):
    return runs_of(judging.judge(np.rint(pictures).astype(np.uint8), FPS))


def test_all_of_an_ordinary_clip_stays():
    assert not judged(scene(0))
    assert not judged(scene(0)[:1]) and not judged(scene(0)[:0])


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (200, 30, 30)])
def test_fades_from_and_to_a_colour(colour):
    pictures = scene(0).astype(float)
    pictures[:3], pictures[-4:] = colour, colour
    pictures[3:14] = EASE * pictures[3:14] + (1 - EASE) * np.array(colour)
    pictures[-15:-4] = EASE[::-1] * pictures[-15:-4] + (1 - EASE[::-1]) * np.array(colour)
    assert judged(pictures) == [(0, 14, BLANK), (85, 100, BLANK)]


def test_a_clip_that_begins_in_the_middle_of_a_fade():
    pictures = scene(0).astype(float)
    pictures[:8] = EASE[3:] * pictures[:8] + (1 - EASE[3:]) * 255
    assert judged(pictures) == [(0, 8, BLANK)]


def test_black_in_the_middle_costs_itself_alone():
    pictures = scene(0)
    pictures[40:47] = 0
    assert judged(pictures) == [(40, 47, BLANK)]


def test_a_frozen_picture_stays_once_though_it_is_coded_again():
    pictures = scene(0)
    pictures[30:60] = pictures[30] + np.random.default_rng(1).integers(0, 2, pictures[30:60].shape)
    assert judged(pictures) == [(31, 60, FROZEN)]
    pictures = scene(0)
    pictures[30:42] = pictures[30]  # for less than half a second
    assert not judged(pictures)


def test_a_picture_that_changes_slowly_does_not_stand_still():
    pictures = scene(0)
    pictures[:] = pictures[0] // 2 + np.arange(100, dtype=np.uint8)[:, None, None, None]
    assert not judged(pictures)


@pytest.mark.parametrize("first, stop", [(0, 30), (30, 31), (30, 33), (40, 80), (70, 100)])
def test_cuts_to_another_scene_are_found_to_a_frame(first, stop):
    pictures = scene(0)
    pictures[first:stop] = scene(1)[first:stop]
    assert judged(pictures) == [(first, stop, SCENE)]


def test_a_frame_in_which_two_scenes_are_mixed_hides_no_cut():
    pictures = scene(0).astype(float)
    pictures[40:80] = scene(1)[40:80]
    pictures[40] = (pictures[39] + pictures[41]) / 2
    ((first, stop, why),) = judged(pictures)
    assert first in (39, 40, 41) and (stop, why) == (80, SCENE)


@pytest.mark.parametrize("frames", [6, 12, 24])
def test_a_dissolve_to_another_scene_goes_with_it(frames):
    share = np.clip((np.arange(150) - 60 + frames / 2) / frames, 0, 1)
    share = np.minimum(share, share[::-1])[:, None, None, None]
    pictures = (1 - share) * scene(0, 150) + share * scene(1, 150)
    ((first, stop, why),) = judged(pictures)
    mixed = np.flatnonzero(share.ravel() > 0.25)
    assert why == SCENE and first <= mixed[0] and stop > mixed[-1]
    assert first >= 60 - frames - 2 and stop <= 90 + frames + 2


def test_black_for_nearly_all_of_a_clip_is_blank():
    pictures = scene(0)
    pictures[4:] = 0
    assert judged(pictures) == [(4, 100, BLANK)]


def test_an_hour_takes_little_memory_beside_its_thumbnails():
    pictures = np.tile(scene(0), (20, 1, 1, 1))
    tracemalloc.start()
    judging.judge(pictures, FPS)
    assert tracemalloc.get_traced_memory()[1] < 4 * pictures.nbytes
    tracemalloc.stop()


def test_a_camera_that_moves_cuts_nothing():
    ground = np.random.default_rng(0).integers(0, 200, (32, 96, 3)).repeat(1, 1)
    assert not judged(np.stack([np.roll(ground, t, 1)[:, :32] for t in range(100)]))


def test_the_scene_that_lasts_longest_in_all_stays():
    parts = [scene(0, 30), scene(1, 40), scene(0, 30), scene(2, 20)]
    assert judged(np.concatenate(parts)) == [(30, 70, SCENE), (100, 120, SCENE)]


def test_noise_and_flat_pictures_have_no_scenes():
    random = np.random.default_rng(0)
    assert not judged(random.integers(0, 256, (100, 32, 32, 3)))
    flat = np.arange(0, 200, 4)[:, None, None, None] + np.zeros((1, 32, 32, 3))
    assert not judged(flat)


def test_frames_that_were_never_shot_or_heard():
    codes = left_out.unplayed(100, FPS, 1.8, ())
    assert runs_of(codes) == [(0, 45, NO_PICTURE)]
    codes = left_out.unplayed(100, Fraction(30), 1.8, ())
    assert runs_of(codes) == [(0, 54, NO_PICTURE)]
    codes = left_out.unplayed(100, FPS, 0.0, ((0.0, 0.5), (2.0, 2.21)))
    assert runs_of(codes) == [(0, 13, NO_SOUND), (50, 56, NO_SOUND)]
    assert not left_out.unplayed(100, FPS, 0.005, ()).any()


def test_stretches_of_under_a_second_go_too_but_a_whole_short_clip_stays():
    codes = np.zeros(100, np.uint8)
    codes[[30, 54, 80]] = BLANK
    codes = left_out.without_short(codes, FPS)
    assert left_out.stretches(codes) == [(0, 30), (55, 80)]
    assert set(codes[31:54]) == {SHORT} and set(codes[81:]) == {SHORT}
    assert not left_out.without_short(np.zeros(10, np.uint8), FPS).any()


def clips():
    codes = {name: np.zeros(100, np.uint8) for name in ("a", "b")}
    codes["a"][:10], codes["a"][10:12] = NO_PICTURE, BLANK
    return codes


def test_it_is_told_with_times_and_reasons():
    paths = {"a": Path("talks/a.mp4"), "b": Path("talks/b.mp4")}
    assert left_out.report(clips(), paths, FPS) == [
        "left out of training: 12 of 200 frames (6.0%)",
        "  talks/a.mp4: 12 frames: 00:00.0 to 00:00.4 (the picture has not begun), "
        "00:00.4 to 00:00.48 (the picture is blank or fades)",
    ]
    assert not left_out.report({"b": clips()["b"]}, paths, FPS)


def test_many_clips_are_told_of_in_the_table_alone(tmp_path):
    many = {f"c{i}": clips()["a"] for i in range(25)}
    lines = left_out.report(many, {name: Path(name) for name in many}, FPS)
    assert len(lines) == 22 and lines[-1] == "  and 5 more clips: see left_out.csv in the dataset"
    left_out.write(tmp_path / "left_out.csv", clips(), FPS)
    assert (tmp_path / "left_out.csv").read_text().splitlines() == [
        "clip,from,to,frames,reason",
        "a,0.000,0.400,10,the picture has not begun",
        "a,0.400,0.480,2,the picture is blank or fades",
    ]


def test_more_than_half_is_an_error():
    codes, paths = clips(), {"a": Path("talks/a.mp4"), "b": Path("talks/b.mp4")}
    codes["b"][2:80], codes["b"][90:] = SCENE, SHORT
    left_out.check(codes, paths, FPS)
    codes["b"][80] = SCENE
    message = (
        r"talks/b.mp4: another scene is seen in 79 of 100 frames \(at 00:00.08 to 00:03.24\); "
        r"of all footage, 2 clips, 50% cannot be trained on: .*--crop"
    )
    with pytest.raises(UserError, match=message):
        left_out.check(codes, paths, FPS)
