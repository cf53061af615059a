"""What is left out, in codes and in words."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset import left_out_frames
from lumiere_jax.inputs.dataset.left_out_frames import (
    BLANK,
    KEPT,
    NO_PICTURE,
    NO_SOUND,
    SCENE,
    SHORT,
)

FPS = Fraction(25)


def runs_of(codes):
    return [(first, stop, codes[first]) for first, stop in left_out_frames.runs(codes > KEPT)]


def test_frames_that_were_never_shot_or_heard():
    codes = left_out_frames.unplayed(100, FPS, 1.8, ())
    assert runs_of(codes) == [(0, 45, NO_PICTURE)]
    codes = left_out_frames.unplayed(100, Fraction(30), 1.8, ())
    assert runs_of(codes) == [(0, 54, NO_PICTURE)]
    codes = left_out_frames.unplayed(100, FPS, 0.0, ((0.0, 0.5), (2.0, 2.21)))
    assert runs_of(codes) == [(0, 13, NO_SOUND), (50, 56, NO_SOUND)]
    assert not left_out_frames.unplayed(100, FPS, 0.005, ()).any()


def test_stretches_of_under_a_second_go_too_but_a_whole_short_clip_stays():
    codes = np.zeros(100, np.uint8)
    codes[[30, 54, 80]] = BLANK
    codes = left_out_frames.without_short(codes, FPS)
    assert left_out_frames.stretches(codes) == [(0, 30), (55, 80)]
    assert set(codes[31:54]) == {SHORT} and set(codes[81:]) == {SHORT}
    assert not left_out_frames.without_short(np.zeros(10, np.uint8), FPS).any()


def clips():
    codes = {name: np.zeros(100, np.uint8) for name in ("a", "b")}
    codes["a"][:10], codes["a"][10:12] = NO_PICTURE, BLANK
    return codes


def test_it_is_told_with_times_and_reasons():
    paths = {"a": Path("talks/a.mp4"), "b": Path("talks/b.mp4")}
    assert left_out_frames.report(clips(), paths, FPS) == [
        "left out of training: 12 of 200 frames (6.0%)",
        "  talks/a.mp4: 12 frames: 00:00.0 to 00:00.4 (the picture has not begun), "
        "00:00.4 to 00:00.48 (the picture is blank or fades)",
    ]
    assert not left_out_frames.report({"b": clips()["b"]}, paths, FPS)


def test_many_clips_are_told_of_in_the_table_alone(tmp_path):
    many = {f"c{i}": clips()["a"] for i in range(25)}
    lines = left_out_frames.report(many, {name: Path(name) for name in many}, FPS)
    assert len(lines) == 22 and lines[-1] == "  and 5 more clips: see left_out.csv in the dataset"
    left_out_frames.write(tmp_path / "left_out.csv", clips(), FPS)
    assert (tmp_path / "left_out.csv").read_text().splitlines() == [
        "clip,from,to,frames,reason",
        "a,0.000,0.400,10,the picture has not begun",
        "a,0.400,0.480,2,the picture is blank or fades",
    ]


def test_more_than_half_is_an_error():
    codes, paths = clips(), {"a": Path("talks/a.mp4"), "b": Path("talks/b.mp4")}
    codes["b"][2:80], codes["b"][90:] = SCENE, SHORT
    left_out_frames.check(codes, paths, FPS)
    codes["b"][80] = SCENE
    message = (
        r"talks/b.mp4: another scene is seen in 79 of 100 frames \(at 00:00.08 to 00:03.24\); "
        r"of all footage, 2 clips, 50% cannot be trained on: .*--crop"
    )
    with pytest.raises(UserError, match=message):
        left_out_frames.check(codes, paths, FPS)
