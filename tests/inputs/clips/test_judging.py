"""Thumbnails of somebody who moves in front of a wall are judged."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from lumiere_jax.inputs.clips import judging
from lumiere_jax.inputs.dataset import left_out_frames
from lumiere_jax.inputs.dataset.left_out_frames import BLANK, FROZEN, KEPT, SCENE

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


def judged(pictures):
    codes = judging.judge(np.rint(pictures).astype(np.uint8), FPS)
    return [(first, stop, codes[first]) for first, stop in left_out_frames.runs(codes > KEPT)]


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
