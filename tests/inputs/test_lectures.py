import json
from fractions import Fraction

import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs import archive, lectures
from lumiere_jax.inputs.lectures import open_dataset, segments_of


def shares(segments):
    return {split: sum(s.frames for s in segments if s.split == split) for split in lectures.SPLITS}


def test_few_clips_are_each_cut_by_time_without_gaps_or_overlaps():
    segments = segments_of({"a": 1000, "b": 417})
    for clip, frames in (("a", 1000), ("b", 417)):
        own = [s for s in segments if s.clip == clip]
        assert [s.split for s in own] == ["train", "val", "test"]
        assert [s.first for s in own] == [0, own[0].frames, own[0].frames + own[1].frames]
        assert sum(s.frames for s in own) == frames
    assert [s.frames for s in segments if s.clip == "a"] == [750, 50, 200]


@pytest.mark.parametrize("clips, whole", [(10, (7, 1, 2)), (40, (30, 2, 8))])
def test_many_clips_stay_whole(clips, whole):
    segments = segments_of({f"c{i:02}": 100 for i in range(clips)})
    assert len(segments) == clips and all(s.first == 0 for s in segments)
    assert tuple(n // 100 for n in shares(segments).values()) == whole


def test_offsets_count_through_a_split():
    segments = segments_of({"a": 100, "b": 50, "c": 3})
    for split in lectures.SPLITS:
        own = [s for s in segments if s.split == split]
        assert [s.offset for s in own] == list(np.cumsum([0] + [s.frames for s in own])[:-1])
        assert all(s.frames for s in own)


def test_records_are_in_the_order_of_time(noise):
    for segment in noise.segments:
        records = noise.records(segment.split)
        for t in range(segment.frames):
            record = records[segment.offset + t]
            clip, frame = int(segment.clip[1:]), segment.first + t
            assert tuple(archive.decode(record["figure"])[0, 0]) == (clip, frame, 7)
            assert record["keypoints"][0, 0] == 100 * clip + frame
            assert record["aperture"] == np.float32(frame / 10)


def test_features_never_look_across_a_split(noise, make_noise, tmp_path):
    (tail,) = (s for s in noise.segments if s.split == "test" and s.clip == "c0")
    start = tail.first * 16_000 // 30

    def louder(clip, sound):
        if clip == 0:
            sound[start:] *= -5
        return sound

    other = make_noise(tmp_path, louder)
    for split in ("train", "val"):
        np.testing.assert_array_equal(noise.features(split), other.features(split))
    rows = slice(tail.offset, tail.offset + tail.frames)
    changed = np.abs(noise.features("test") - other.features("test"))
    # Loudness is brought to one level, so sound times -5 is the same sound.
    np.testing.assert_allclose(changed[rows], 0, atol=1e-3)
    np.testing.assert_array_equal(noise.mean, other.mean)

    def otherwise(clip, sound):
        if clip == 0:
            sound[start:] = np.sin(np.arange(len(sound) - start))
        return sound

    another = make_noise(tmp_path / "another", otherwise)
    for split in ("train", "val"):
        np.testing.assert_array_equal(noise.features(split), another.features(split))
    assert np.abs(noise.features("test") - another.features("test"))[rows].max() > 1


def test_statistics_are_those_of_the_training_split(noise):
    rows = np.stack([r["features"] for r in noise.records("train")])
    np.testing.assert_allclose(noise.mean, rows.mean(0), rtol=1e-4)
    # A standard deviation is at least 1/4, the clipping of normal features undone.
    np.testing.assert_allclose(noise.std, np.maximum(rows.std(0), 0.25), rtol=1e-3)
    normal = noise.features("train")
    np.testing.assert_allclose(normal.mean(0), 0, atol=0.05)


def test_a_filter_that_never_moves_divides_by_no_zero(make_noise, tmp_path):
    silent = make_noise(tmp_path, lambda clip, sound: 0 * sound, clips=1)
    assert (silent.std > 0).all() and np.isfinite(silent.features("test")).all()


def test_a_description_comes_back(noise):
    assert noise.fps == Fraction(30) and noise.size == 64 and noise.drawn_seed is None
    assert noise.consent == {"who": "noise"}
    assert [noise.frames(split) for split in lectures.SPLITS] == [60, 4, 16]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text[:100], "is not a dataset's description"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "its format is 2, not 1"),
        (lambda text: "[]", "is not a dataset's description"),
        (lambda text: text.replace('"fps"', '"fsp"'), "'fps'"),
    ],
)
def test_a_damaged_description_is_named(noise, tmp_path, change, message):
    text = (noise.folder / "dataset.json").read_text()
    assert json.loads(text)
    (tmp_path / "dataset.json").write_text(change(text))
    with pytest.raises(UserError, match=rf"{tmp_path}/dataset.json .*{message}.*prepare.py"):
        open_dataset(tmp_path)


def test_missing_and_damaged_records_are_named(noise, tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path} holds no dataset"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text((noise.folder / "dataset.json").read_text())
    with pytest.raises(UserError, match=f"{tmp_path}: the records of its 'val' split"):
        open_dataset(tmp_path).records("val")
