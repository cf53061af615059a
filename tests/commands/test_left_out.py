"""Footage of which not all can be trained on: what a dataset keeps of it, to the frame."""

import csv
import json
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from lumiere_jax.audio.front_ends import log_mel
from lumiere_jax.commands.prepare import prepare_footage
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.inputs.media import picture_bytes

FPS, RATE = 25, 16_000


def picture(t):
    """A wall, and somebody whose brightness counts."""
    wall = np.random.default_rng(0).integers(40, 160, (10, 12, 3), np.uint8)
    shown = wall.repeat(8, 0).repeat(8, 1)
    shown[30:60, 40:60] = 50 + 12 * (t % 10)
    return shown


def write(path, pictures, seconds, first=0, quiet=()):
    """Pictures from frame `first` on, and from 0 on sound that is a tone of its own each second,
    a hundredth as loud in the `quiet` ones."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"g": "25", "crf": "8"})
        video.width, video.height, video.pix_fmt = 96, 80, "yuv420p"
        audio = container.add_stream("flac", rate=RATE, layout="mono")
        for t, shown in enumerate(pictures, first):
            frame = av.VideoFrame.from_ndarray(shown, "rgb24")
            frame.pts, frame.time_base = t, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for second in range(seconds):
            level = 80 if second in quiet else 8000
            tone = np.sin(np.arange(RATE) * 2 * np.pi * (300 + 100 * second) / RATE) * level
            sound = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], "s16", "mono")
            sound.sample_rate, sound.pts = RATE, RATE * second
            sound.time_base = Fraction(1, RATE)
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def write_poses(folder, people):
    """OpenPose's results of somebody whose neck tells the frame, or of nobody."""
    folder.mkdir(parents=True)
    for t, there in enumerate(people):
        body = np.zeros((25, 3))
        body[[0, 1, 2, 5]] = [(48, 20, 1), (20 + t / 10, 50, 1), (30, 52, 1), (60, 52, 1)]
        found = [{"pose_keypoints_2d": body.ravel().tolist()}] if there else []
        (folder / f"{t:04}.json").write_text(json.dumps({"people": found}))


@pytest.fixture
def prepare(tmp_path, consent):
    """Makes a dataset of the clips in the folder `talks`."""

    def made():
        return prepare_footage(
            footage=f"{tmp_path}/talks/*.mkv",
            consent=consent,
            out=tmp_path / "data",
            figure="openpose",
            poses=tmp_path / "poses",
            size=64,
            fps=str(FPS),
            workers=1,
        )

    (tmp_path / "talks").mkdir()
    return made


def test_black_and_missing_people_are_left_out_and_the_rest_stays_in_step(prepare, tmp_path, capfd):
    pictures = [picture(t) for t in range(12 * FPS)]
    pictures[100:110] = [0 * shown for shown in pictures[100:110]]
    write(tmp_path / "talks" / "talk.mkv", pictures, 12)
    people = [not 200 <= t < 220 for t in range(12 * FPS)]
    write_poses(tmp_path / "poses" / "talk", people)
    data = prepare()
    kept = [(s.split, s.first, s.frames, s.part) for s in data.segments]
    # 270 frames: 202 of them train, 14 validate, 54 test.
    assert kept == [
        ("train", 0, 100, None),
        ("train", 110, 90, 1),
        ("train", 220, 12, 2),
        ("val", 232, 14, None),
        ("test", 246, 54, None),
    ]
    assert open_dataset(data.folder).segments == data.segments
    told = capfd.readouterr().out
    assert "left out of training: 30 of 300 frames (10.0%)" in told
    assert (
        "talk.mkv: 30 frames: 00:04.0 to 00:04.4 (the picture is blank or fades), "
        "00:08.0 to 00:08.8 (no pose is found)" in told
    )
    rows = list(csv.DictReader((data.folder / "left_out.csv").open()))
    assert [(row["clip"], row["from"], row["to"], row["frames"]) for row in rows] == [
        ("talk", "4.000", "4.400", "10"),
        ("talk", "8.000", "8.800", "20"),
    ]
    heard, _ = soundfile.read(data.folder / "audio/parts/train-talk-1.flac")
    assert len(heard) == 90 * RATE // FPS
    # Frame 110 is in the fifth second, whose tone is of 700 Hz.
    assert tone_of(heard[:8000]) == pytest.approx(700, abs=2)
    for s in data.segments:
        record = data.records(s.split)[s.offset]
        assert record["keypoints"][1, 0] * 80 + 8 == pytest.approx(20 + s.first / 10, abs=1e-3)
        grey = picture_bytes.decode(record["frame"])[36, 33].mean()
        assert grey == pytest.approx(50 + 12 * (s.first % 10), abs=5)


def test_a_clip_in_parts_has_one_loudness(prepare, tmp_path):
    """A part may be a pause, which is not to be as loud as speech."""
    pictures = [picture(t) for t in range(12 * FPS)]
    pictures[100:110] = [0 * shown for shown in pictures[100:110]]
    write(tmp_path / "talks" / "talk.mkv", pictures, 12, quiet=range(5))
    write_poses(tmp_path / "poses" / "talk", 12 * FPS * [True])
    data = prepare()
    quiet, loud = (s for s in data.segments if s.split == "train")
    assert (quiet.part, loud.part) == (None, 1)
    assert data.gain(quiet) == data.gain(loud)
    rows = data.rows(log_mel(data.fps), "train")
    # A hundredth of the amplitude is 9.2 less in natural logarithms of power; what higher tones
    # have more of is 1.3. With a loudness of its own, the pause would be as loud.
    assert rows[loud.offset + 30 :].max() - rows[:90].max() == pytest.approx(10.5, abs=0.2)


def tone_of(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 16))
    return spectrum.argmax() * RATE / (1 << 16)


def test_sound_that_starts_first_is_paired_with_no_frozen_picture(prepare, tmp_path, capfd):
    write(tmp_path / "talks" / "talk.mkv", [picture(t) for t in range(100)], 6, first=45)
    write_poses(tmp_path / "poses" / "talk", 100 * [True])
    data = prepare()
    assert data.segments[0].first == 45 and sum(s.frames for s in data.segments) == 100
    assert "45 of 145 frames" in capfd.readouterr().out


def test_one_bad_clip_does_not_end_the_job_and_more_than_half_does(prepare, tmp_path, capfd):
    for name, there in (("a", 75), ("b", 75), ("bad", 20)):
        write(tmp_path / "talks" / f"{name}.mkv", [picture(t) for t in range(75)], 3)
        write_poses(tmp_path / "poses" / name, [t < there for t in range(75)])
    data = prepare()
    assert {s.clip for s in data.segments} == {"a", "b"}
    told = capfd.readouterr().out
    assert "bad.mkv: all 75 frames: 00:00.0 to 00:00.8 (too short: under a second)" in told
    for name in ("a", "b"):
        (tmp_path / "talks" / f"{name}.mkv").unlink()
    (tmp_path / "data").rename(tmp_path / "before")
    with pytest.raises(
        UserError, match="bad.mkv: no pose is found in 55 of 75 frames .*100% cannot be trained on"
    ):
        prepare()
    assert not (tmp_path / "data").exists()
