import contextlib
import importlib
import json
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import watching
from hypothesis import given, settings
from hypothesis import strategies as st

from lumiere_jax.audio.features import normalise
from lumiere_jax.audio.front_ends import log_mel
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.batches import record_reader
from lumiere_jax.inputs.dataset import lectures
from lumiere_jax.inputs.dataset.geometry import SIZES
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.inputs.dataset.segments import SPLITS, segments_of
from lumiere_jax.inputs.media import picture_bytes


def shares(segments):
    return {split: sum(s.frames for s in segments if s.split == split) for split in SPLITS}


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


def test_what_is_left_out_does_not_count_in_the_shares():
    kept = {"a": [(10, 110), (150, 400), (410, 460)], "b": [(0, 100)], "gone": []}
    segments = segments_of({"a": 500, "b": 100, "gone": 9}, kept)
    own = {
        split: [(s.first, s.frames, s.part) for s in segments if s.clip == "a" and s.split == split]
        for split in SPLITS
    }
    assert own == {
        "train": [(10, 100, None), (150, 200, 1)],
        "val": [(350, 20, None)],
        "test": [(370, 30, None), (410, 50, 1)],
    }
    assert [s.frames for s in segments if s.clip == "b"] == [75, 5, 20]
    assert not [s for s in segments if s.clip == "gone"]
    assert segments == segments_of({"a": 500, "b": 100}, kept)
    sounds = [s.sound for s in segments]
    assert "audio/train-a.flac" in sounds and "audio/parts/train-a-1.flac" in sounds
    assert len(set(sounds)) == len(sounds)


def test_clips_in_parts_are_dealt_out_whole():
    kept = {f"c{i}": [(0, 50), (60, 100)] for i in range(10)} | {"gone": []}
    segments = segments_of(dict.fromkeys(kept, 100), kept)
    assert len(segments) == 20 and [s.part for s in segments[:4]] == [None, 1, None, 1]
    assert tuple(n // 90 for n in shares(segments).values()) == (7, 1, 2)


def test_ends_of_stretches_that_are_too_short_to_learn_from_are_dropped():
    segments = segments_of({"a": 210}, {"a": [(0, 77), (100, 123)]})
    assert [(s.split, s.first, s.frames) for s in segments] == [
        ("train", 0, 75),
        ("val", 100, 3),
        ("test", 103, 20),
    ]


def test_offsets_count_through_a_split():
    segments = segments_of({"a": 100, "b": 50, "c": 3})
    for split in SPLITS:
        own = [s for s in segments if s.split == split]
        assert [s.offset for s in own] == list(np.cumsum([0] + [s.frames for s in own])[:-1])
        assert all(s.frames for s in own)


FPS = Fraction(30)


def features(dataset, split):
    """Normalised log-mel rows."""
    return normalise(dataset.rows(log_mel(FPS), split), dataset.mean, dataset.std)


def test_records_are_in_the_order_of_time(noise):
    for segment in noise.segments:
        records = noise.records(segment.split)
        for t in range(segment.frames):
            record = records[segment.offset + t]
            clip, frame = int(segment.clip[1:]), segment.first + t
            assert tuple(picture_bytes.decode(record["figure"])[0, 0]) == (clip, frame, 7)
            assert record["keypoints"][0, 0] == 100 * clip + frame
            assert record["aperture"] == np.float32(frame / 10)


def test_features_never_look_across_a_split(noise, make_noise, tmp_path):
    (tail,) = (s for s in noise.segments if s.split == "test" and s.clip == "c0")
    start = tail.first * 16_000 // 30

    def louder(clip, sound):
        if clip == 0:
            sound[start:] *= -2
        return sound

    other = make_noise(tmp_path, louder)
    for split in ("train", "val"):
        np.testing.assert_array_equal(features(noise, split), features(other, split))
    rows = slice(tail.offset, tail.offset + tail.frames)
    changed = np.abs(features(noise, "test") - features(other, "test"))
    # Loudness is brought to one level, so sound times -2 is the same sound.
    np.testing.assert_allclose(changed[rows], 0, atol=1e-3)
    np.testing.assert_array_equal(noise.mean, other.mean)

    def otherwise(clip, sound):
        if clip == 0:
            sound[start:] = np.sin(np.arange(len(sound) - start))
        return sound

    another = make_noise(tmp_path / "another", otherwise)
    for split in ("train", "val"):
        np.testing.assert_array_equal(features(noise, split), features(another, split))
    assert np.abs(features(noise, "test") - features(another, "test"))[rows].max() > 1


def test_statistics_are_those_of_the_training_split(noise):
    rows = noise.rows(log_mel(FPS), "train")
    np.testing.assert_allclose(noise.mean, rows.mean(0), rtol=1e-4)
    # A standard deviation is at least 1/4, the clipping of normal features undone.
    np.testing.assert_allclose(noise.std, np.maximum(rows.std(0), 0.25), rtol=1e-3)
    normal = features(noise, "train")
    np.testing.assert_allclose(normal.mean(0), 0, atol=0.05)


def test_a_filter_that_never_moves_divides_by_no_zero(make_noise, tmp_path):
    silent = make_noise(tmp_path, lambda clip, sound: 0 * sound, clips=1)
    assert (silent.std > 0).all() and np.isfinite(features(silent, "test")).all()


def test_a_description_comes_back(noise):
    assert noise.fps == Fraction(30) and noise.size == 64 and noise.drawn_seed is None
    assert noise.consent == {"who": "noise", "when": "2026-01-31", "purpose": "tests"}
    assert [noise.frames(split) for split in SPLITS] == [60, 4, 16]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text[:100], "is not a dataset's description"),
        (
            lambda text: text.replace('"format": 4', '"format": 5'),
            "is of a later lumiere_jax .format 5, not 4.: update",
        ),
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


def column(**change):
    return lambda values: values["columns"][2].update(change)


def segment(**change):
    return lambda values: values["segments"][1].update(change)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda v: v.update(size=100), "its size is 100, none of 64"),
        (lambda v: v.update(size=True), "its size is True"),
        (lambda v: v.update(size=[64]), "its size is"),
        (lambda v: v.update(fps="1e999999999"), "its fps is '1e999999999'"),
        (lambda v: v.update(fps="4"), "its fps is '4', not 5 to 120"),
        (lambda v: v.update(fps="1/0"), "Fraction"),
        (lambda v: v.update(fps=30), "expected string"),
        (lambda v: v.update(figure=3), "its figure is no text"),
        (lambda v: v.update(geometry="round"), "'round'"),
        (lambda v: v.update(geometry=[]), "unhashable"),
        (lambda v: v.update(geometry="face"), "its size is 64, none of 128"),
        (lambda v: v.pop("columns"), "it describes no columns"),
        (lambda v: v.update(columns=[]), "it has no columns"),
        (lambda v: v.update(columns={"name": "frame"}), "its columns are no list"),
        (column(name="../x"), "'../x' is no column's name"),
        (column(name="figure"), "two of its columns have one name"),
        (column(encoding="exe"), "column 'keypoints' is encoded as 'exe'"),
        (column(shape=[137, -3]), "column 'keypoints' cannot have shape"),
        (column(shape=[10**9]), "column 'keypoints' cannot have shape"),
        (column(shape=[1] * 99), "column 'keypoints' cannot have shape"),
        (column(dtype="object"), "column 'keypoints' cannot have shape"),
        (lambda v: v.update(consent=[]), "its consent does not say who"),
        (lambda v: v.update(drawn_seed="0"), "its drawn_seed is '0'"),
        (lambda v: v["mean"].pop(), "its mean is not 40 numbers"),
        (lambda v: v["mean"].__setitem__(0, float("nan")), "its mean is not 40 numbers"),
        (lambda v: v["std"].__setitem__(0, 0.0), "its std is not 40 numbers"),
        (lambda v: v["std"].__setitem__(0, 1e999), "its std is not 40 numbers"),
        (lambda v: v["std"].__setitem__(0, 10**400), "too large"),
        (segment(clip="../../secret"), "'../../secret' is no clip's name"),
        (segment(clip="/etc/passwd"), "is no clip's name"),
        (segment(clip="a\0b"), "is no clip's name"),
        (segment(clip=7), "clip"),
        (segment(split="../train"), "there is no such segment"),
        (segment(frames=10**12), "there is no such segment"),
        (segment(frames=-1), "there is no such segment"),
        (segment(first=1.5), "first"),
        (segment(frames=0), "do not follow each other"),
        (segment(offset=1), "do not follow each other"),
        (segment(clip="c0"), "segments of the clip 'c0' overlap"),
        (segment(part=0), "0 is no segment's part"),
        (segment(part="1/../../x"), "part"),
        (segment(colour="red"), "colour"),
        (lambda v: v.update(segments={"a": 1}), "must be a mapping"),
    ],
)
def test_what_a_description_says_is_checked(noise, tmp_path, change, message):
    values = json.loads((noise.folder / "dataset.json").read_text())
    change(values)
    (tmp_path / "dataset.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=rf"(?s)dataset.json .*{message}.*prepare.py"):
        open_dataset(tmp_path)


NUMBERS = st.integers() | st.floats() | st.text() | st.none() | st.lists(st.integers())


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(data=st.data())
def test_damage_gives_a_dataset_that_adds_up_or_one_error(noise, tmp_path_factory, data):
    values = json.loads((noise.folder / "dataset.json").read_text())
    place = data.draw(st.sampled_from([values, *values["segments"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(NUMBERS)
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "dataset.json").write_text(json.dumps(values))
    with contextlib.suppress(UserError):
        dataset = open_dataset(folder)
        assert dataset.size in SIZES and 5 <= dataset.fps <= 120
        for one in dataset.segments:
            assert (folder / one.sound).resolve().parent == (folder / "audio").resolve()


def test_sound_of_another_kind_is_named(noise, tmp_path):
    dataset = open_dataset(shutil.copytree(noise.folder, tmp_path / "data"))
    one = dataset.segments[0]
    path = tmp_path / "data" / one.sound
    for rate, channels, kind in ((44_100, 1, "FLAC"), (16_000, 2, "FLAC"), (16_000, 1, "WAV")):
        soundfile.write(path, np.zeros((99, channels)), rate, format=kind)
        with pytest.raises(UserError, match=f"{path} cannot be read .*no mono FLAC at 16000"):
            dataset.sound(one, 3)
    for content in (b"", b"fLaC" + b"\xff" * 99):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"{path} cannot be read"):
            dataset.sound(one, 3)


HOSTILE = "hostile_features"


@pytest.fixture
def hostile(noise, tmp_path, monkeypatch):
    """A dataset whose descriptions name a module that would leave a trace, and other folders."""
    folder = shutil.copytree(noise.folder, tmp_path / "data")
    (tmp_path / f"{HOSTILE}.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w').close()")
    monkeypatch.syspath_prepend(str(tmp_path))
    shutil.copytree(folder / "lectures", tmp_path / "elsewhere")
    place = folder / "lectures" / "1.0.0"
    names = {"pythonClassName": f"{HOSTILE}.Features", "proto_cls": f"{HOSTILE}.Proto"}
    (place / "features.json").write_text(json.dumps({**names, "featuresDict": {"features": names}}))
    template = "../../../elsewhere/1.0.0/{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    splits = [
        {
            "name": f"../{split}" if split == "test" else split,
            "filepathTemplate": template,
            "shardLengths": [str(2**62)] * 9,
            "numBytes": str(2**62),
        }
        for split in SPLITS
    ]
    info = {"name": HOSTILE, "moduleName": HOSTILE, "version": "1.0.0", "splits": splits}
    info |= {"fileFormat": f"{HOSTILE}.Format", "configName": "../../.."}
    (place / "dataset_info.json").write_text(json.dumps(info))
    return folder, tmp_path


def test_what_a_dataset_says_to_tfds_is_neither_run_nor_followed(hostile, noise):
    folder, outside = hostile
    dataset = open_dataset(folder)
    with watching.opened(outside / "elsewhere" / "1.0.0") as elsewhere:
        with watching.opened(folder / "lectures" / "1.0.0") as here:
            for split in SPLITS:
                np.testing.assert_array_equal(features(dataset, split), features(noise, split))
                assert len(list(dataset.records(split))) == noise.frames(split)
            list(record_reader.in_order(dataset, "val", ("figure",)))
    names = {f"lectures-{split}.array_record-00000-of-00001" for split in SPLITS}
    assert not elsewhere and here - {""} == names  # the folder itself has no name
    assert not (outside / "trace").exists()


def test_the_module_would_leave_a_trace_if_it_were_imported(hostile):
    _, outside = hostile
    importlib.import_module(HOSTILE)
    assert (outside / "trace").exists()
    del sys.modules[HOSTILE]


def test_nothing_makes_a_builder_of_a_folder():
    for path in Path(lectures.__file__).parents[2].rglob("*.py"):
        assert "builder_from_directory" not in path.read_text(), path


def test_records_of_too_few_or_too_many_files_are_named(noise, tmp_path):
    folder = shutil.copytree(noise.folder, tmp_path / "data")
    whole = folder / "lectures" / "1.0.0" / "lectures-val.array_record-00000-of-00001"
    shutil.copy(whole, whole.with_name("lectures-val.array_record-00001-of-00002"))
    with pytest.raises(UserError, match="the records of its 'val' split cannot be read"):
        open_dataset(folder).records("val")


def test_a_damaged_record_is_named(noise, tmp_path, capsys):
    folder = shutil.copytree(noise.folder, tmp_path / "data")
    path = folder / "lectures" / "1.0.0" / "lectures-train.array_record-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 255
    path.write_bytes(data)
    list(open_dataset(folder).records("train"))
    assert f"{folder}, 'train' split: record " in capsys.readouterr().out
