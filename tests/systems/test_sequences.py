"""Sequences of aligned faces: their frames, what they hear, their stills, and how long they are."""

import functools
import itertools
import json
import shutil
from fractions import Fraction

import numpy as np
import pytest

from lumiere_jax.audio.encoders import WINDOW
from lumiere_jax.audio.features import loudness_gain
from lumiere_jax.audio.frame_times import frame_start
from lumiere_jax.audio.front_ends import waveform
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset import builder, clip_archives, lectures
from lumiere_jax.inputs.dataset.columns import APERTURE, FRAME, KEYPOINTS, Moment
from lumiere_jax.inputs.dataset.geometry import FACE
from lumiere_jax.inputs.dataset.segments import Segment, segments_by_split
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.systems.temporal_gan.sequences import sequence_batches, sequences
from lumiere_jax.workflows.dataset_assembly import finish

FPS = Fraction(25)
COLUMNS = (FRAME, KEYPOINTS, APERTURE)
CLIPS = {"ada": 12, "bob": 7, "cleo": 6}
SPLITS = {"ada": "train", "bob": "train", "cleo": "val"}


def picture(clip, t):
    """Levels say the clip and the frame, and the left edge is white."""
    picture = np.full((128, 96, 3), 40 * clip + 5 * t, np.uint8)
    picture[:, :32] = 255
    return picture


def sound(clip):
    samples = frame_start(list(CLIPS.values())[clip], FPS)
    return (0.02 * (clip + 1) * np.random.default_rng(clip).normal(size=samples)).astype("f4")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    archives = folder / "clips"
    archives.mkdir()
    for clip, (name, frames) in enumerate(CLIPS.items()):
        points = np.zeros((137, 3), np.float32)
        moments = (
            Moment(keypoints=points, draw_frame=functools.partial(picture, clip, t))
            for t in range(frames)
        )
        clip_archives.write_clip(archives / name, COLUMNS, moments, [sound(clip)])
    segments = segments_by_split(CLIPS, SPLITS, {name: name.upper() for name in CLIPS})
    dataset = lectures.unmeasured(
        folder=folder,
        size=128,
        fps=FPS,
        figure=FACE.scheme,
        geometry=FACE,
        columns=COLUMNS,
        segments=tuple(segments),
        consent={"who": "noise", "when": "2026-01-31", "purpose": "tests"},
    )
    finish(dataset, archives)
    return lectures.open_dataset(folder)


def clip_of(dataset, frame, split="train"):
    """The clip of a split's frame, by number, and the frame's place in it."""
    for s in dataset.segments:
        if s.split == split and s.offset <= frame < s.offset + s.frames:
            return list(CLIPS).index(s.clip), frame - s.offset
    raise AssertionError(frame)


def test_a_dataset_of_faces_says_so_and_keeps_its_speakers(faces):
    assert faces.geometry is FACE and faces.shape == (128, 96)
    assert [(s.split, s.clip, s.speaker, s.frames) for s in faces.segments] == [
        ("train", "ada", "ADA", 12),
        ("train", "bob", "BOB", 7),
        ("val", "cleo", "CLEO", 6),
    ]
    values = json.loads((faces.folder / "dataset.json").read_text())
    assert values["format"] == 4 and values["geometry"] == "face"
    assert set(faces.records("train")[0]) == {"frame", "keypoints", "aperture"}
    assert picture_bytes.decode((faces.folder / "preview.png").read_bytes()).shape == (
        128,
        8 * 96,
        3,
    )


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda values: values.update(size=64), "its size is 64, none of 128"),
        (lambda values: values["segments"][0].update(speaker=3), "speaker"),
        (lambda values: values.update(format=5), "is of a later lumiere_jax"),
    ],
)
def test_what_a_dataset_of_faces_says_is_checked(faces, tmp_path, change, message):
    values = json.loads((faces.folder / "dataset.json").read_text())
    change(values)
    (tmp_path / "dataset.json").write_text(json.dumps(values))
    with pytest.raises(lectures.UserError, match=message):
        lectures.open_dataset(tmp_path)


def test_segments_are_cut_into_sequences_and_single_frames_are_left_out(faces):
    cut = [(s.segment.clip, s.first, s.frames) for s in sequences(faces, "train", 5)]
    # The third of ada has two frames; bob's second has two.
    assert cut == [("ada", 0, 5), ("ada", 5, 5), ("ada", 10, 2), ("bob", 0, 5), ("bob", 5, 2)]
    cut = [(s.segment.clip, s.frames) for s in sequences(faces, "train", 6)]
    assert cut == [("ada", 6), ("ada", 6), ("bob", 6)]


def test_frames_follow_each_other_and_the_last_one_fills_up(faces):
    seen = set()
    for batch in itertools.islice(sequence_batches(faces, "train", 5, 5, seed=0), 1):
        assert batch["frames"].shape == (5, 5, 128, 96, 3)
        rows = zip(batch["frames"], batch["lengths"], batch["index"], strict=True)
        for frames, length, last in rows:
            clip, t = clip_of(faces, int(last))
            times = np.minimum(np.arange(t - length + 1, t - length + 6), t)
            levels = frames[:, 5:-5, 60:-5].mean((1, 2, 3))
            np.testing.assert_allclose(levels, 40 * clip + 5 * times, atol=2)
            seen.add((clip, int(times[0]), int(length)))
    assert seen == {(0, 0, 5), (0, 5, 5), (0, 10, 2), (1, 0, 5), (1, 5, 2)}


def test_windows_hear_the_clip_around_each_frame_at_its_loudness(faces):
    (batch,) = sequence_batches(faces, "train", 5, 5, seed=0, last=1)
    told = (batch[name] for name in ("windows", "lengths", "index"))
    for windows, length, last in zip(*told, strict=True):
        clip, t = clip_of(faces, int(last))
        whole = np.round(sound(clip) * 32768) / 32768  # as the dataset keeps it
        gain = loudness_gain([whole.astype("f4")])
        padded = np.pad(whole, WINDOW) * gain
        for i in range(length):
            start = WINDOW // 2 + waveform(FPS).start(int(t - length + 1 + i))
            np.testing.assert_allclose(windows[i], padded[start : start + WINDOW], atol=1e-4)
        assert not windows[length:].any()


def test_a_still_is_a_frame_of_the_same_clip_and_not_always_its_first(faces):
    (batch,) = sequence_batches(faces, "train", 5, 5, seed=0, last=1)
    times = []
    for still, last in zip(batch["still"], batch["index"], strict=True):
        clip, _ = clip_of(faces, int(last))
        t = (float(still[5:-5, 60:-5].mean()) - 40 * clip) / 5
        assert t == pytest.approx(round(t), abs=0.4) and 0 <= round(t) < list(CLIPS.values())[clip]
        times.append(round(t))
    assert len(set(times)) > 2


def test_mirrored_copies_are_there_once_an_epoch(faces):
    (batch,) = sequence_batches(faces, "train", 5, 10, seed=0, mirror=True, last=1)
    left, right = (batch["frames"][:, :, 64, col].mean((1, 2)) for col in (5, 90))
    turned = right > left
    assert turned.sum() == 5
    np.testing.assert_array_equal(
        turned, batch["still"][:, 64, 90, 0] > batch["still"][:, 64, 5, 0]
    )
    own = sorted(zip(batch["index"].tolist(), batch["lengths"].tolist(), strict=True))
    assert all(own[i] == own[i + 1] for i in range(0, 10, 2))


def test_batches_of_sequences_are_a_function_of_seed_and_step(faces):
    def taken(first, last, **options):
        batches = sequence_batches(faces, "train", 5, 2, 3, True, first, last, **options)
        return [(b["index"].tolist(), float(b["windows"].sum())) for b in batches]

    whole = taken(0, 6)
    assert taken(4, 6) == whole[4:]
    parts = [taken(0, 6, part=(i, 2)) for i in range(2)]
    assert [a[0] + b[0] for a, b in zip(*parts, strict=True)] == [index for index, _ in whole]


def test_samples_are_silent_outside_of_the_segment(faces):
    segment = faces.segments[1]
    whole = faces.samples(segment, 0, frame_start(7, FPS))
    padded = np.pad(whole, 100)
    for start, stop in (
        (-100, 50),
        (-100, -50),
        (-100, len(whole) + 100),
        (len(whole) + 7, len(whole) + 9),
    ):
        np.testing.assert_array_equal(
            faces.samples(segment, start, stop), padded[start + 100 : stop + 100]
        )
    assert faces.gain(segment) == pytest.approx(loudness_gain([whole]))


def test_splits_and_speakers_are_those_of_the_table():
    assert segments_by_split(
        {"a": 3, "b": 4}, {"a": "test", "b": "test"}, {"a": "x", "b": "y"}
    ) == [
        Segment("test", "a", 0, 3, 0, "x"),
        Segment("test", "b", 0, 4, 3, "y"),
    ]


def test_records_hold_what_the_columns_say():
    assert set(builder.features(COLUMNS)) == {"frame", "keypoints", "aperture"}


def test_a_sound_that_is_damaged_is_named(faces, tmp_path):
    folder = tmp_path / "faces"
    shutil.copytree(faces.folder, folder)
    broken = folder / next(s.sound for s in faces.segments if s.clip == "bob")
    broken.write_bytes(broken.read_bytes()[:60])
    dataset = lectures.open_dataset(folder)
    with pytest.raises(UserError, match=f"{broken.name} cannot be read .*make the dataset anew"):
        list(sequence_batches(dataset, "train", 4, 2, seed=0, last=4))
