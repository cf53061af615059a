"""Videos of ours, read back: every picture, every sample, in step, and marked."""

import fcntl
import json
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.footage.probing import probe
from lumiere_jax.inputs.footage.reading import read_frames
from lumiere_jax.inputs.sound.sound_tracks import probe_audio, read_sound
from lumiere_jax.outputs import video
from lumiere_jax.outputs.label import draw_label
from lumiere_jax.outputs.video import check_writable, read_record, write_video

FPS = Fraction(30)
COLOURS = np.array([[200, 30, 40], [20, 180, 60], [30, 50, 220], [128, 128, 128]], np.uint8)


def pictures(count, size=64):
    """Four coloured quarters that change places from frame to frame."""
    for index in range(count):
        quarters = np.roll(COLOURS, index, axis=0).reshape(2, 2, 3)
        yield quarters.repeat(size // 2, 0).repeat(size // 2, 1)


def noise(samples, channels, rate):
    """Noise below a third of the rate, which AAC keeps, different in each channel."""
    white = np.random.default_rng(0).standard_normal((samples, channels))
    spectrum = np.fft.rfft(white, axis=0)
    spectrum[len(spectrum) // 8 :] = 0
    smooth = np.fft.irfft(spectrum, samples, axis=0)
    return (0.2 * smooth / smooth.std()).astype(np.float32)


def write(path, sound, rate, count=None, size=64, record=None, **options):
    samples, channels = sound.shape
    count = -(-samples * 30 // rate) if count is None else count
    blocks = iter(np.array_split(sound, 5))
    record = record or {"model": "m1"}
    return write_video(path, pictures(count, size), FPS, blocks, rate, channels, record, **options)


@pytest.mark.parametrize(
    ("rate", "channels", "samples"),
    [
        (22050, 1, 212893),
        (44100, 2, 44100),
        (44100, 2, 44101),
        (48000, 6, 48 * 1024),
        (16000, 1, 16 * 1024 + 1023),
        (8000, 1, 9000),
        (44100, 8, 20000),
    ],
)
def test_every_sample_is_kept_where_it_was(tmp_path, rate, channels, samples):
    sound = noise(samples, channels, rate)
    count = write(tmp_path / "a.mp4", sound, rate, size=64)
    heard = np.concatenate(list(read_sound(tmp_path / "a.mp4")))
    info = probe_audio(tmp_path / "a.mp4")
    assert (info.rate, info.channels) == (rate, channels)
    assert samples <= len(heard) < samples + 1024
    for channel in set(range(channels)) - ({3} if channels > 5 else set()):  # LFE is filtered
        ours, theirs = sound[:, channel], heard[:samples, channel]
        match = np.fft.irfft(np.fft.rfft(theirs) * np.fft.rfft(ours).conj(), samples)
        assert match.argmax() == 0
        assert match[0] > 0.9 * np.square(ours).sum()
    clip = probe(tmp_path / "a.mp4")
    assert clip.start == 0 and count == -(-samples * 30 // rate)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == count
    # Less than a frame from the last sample to the last picture's end.
    assert 0 <= Fraction(count, 30) - Fraction(samples, rate) < Fraction(1, 30)


@pytest.mark.parametrize(
    ("rate", "channels", "coded_rate", "coded_channels"),
    [(192000, 1, 96000, 1), (6000, 1, 7350, 1), (37800, 2, 44100, 2), (48000, 12, 48000, 2)],
)
def test_sound_that_aac_cannot_carry_is_converted(
    tmp_path, rate, channels, coded_rate, coded_channels
):
    sound = noise(rate, channels, rate)
    write(tmp_path / "a.mp4", sound, rate)
    info = probe_audio(tmp_path / "a.mp4")
    assert (info.rate, info.channels) == (coded_rate, coded_channels)
    assert coded_rate <= info.samples < coded_rate + 1024
    heard = np.concatenate(list(read_sound(tmp_path / "a.mp4")))[:coded_rate, 0]
    given = np.interp(
        np.arange(coded_rate) / coded_rate, np.arange(rate) / rate, sound.mean(axis=1)
    )
    match = np.fft.irfft(np.fft.rfft(heard) * np.fft.rfft(given).conj(), coded_rate)
    assert match.argmax() == 0 and match[0] > 0.8 * np.square(given).sum()


@pytest.mark.parametrize("size", [64, 1024])
@pytest.mark.parametrize("fps", [FPS, Fraction(24000, 1001)])
def test_pictures_come_back_in_order_and_colour(tmp_path, size, fps):
    count = 12
    sound = [np.zeros((44100, 1), np.float32)]
    written = write_video(
        tmp_path / "a.mp4", pictures(count, size), fps, sound, 44100, 1, {}, marks=False
    )
    assert written == count
    read = list(read_frames(tmp_path / "a.mp4", fps, size))
    assert [index for index, _ in read] == list(range(count))
    centres = np.ix_([size // 4, 3 * size // 4], [size // 4, 3 * size // 4])
    for (_, picture), given in zip(read, pictures(count, size), strict=True):
        np.testing.assert_allclose(picture[centres].astype(int), given[centres].astype(int), atol=6)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.colorspace, context.color_range) == (1, 1)
        assert (context.color_primaries, context.color_trc) == (1, 1)
        assert container.streams.video[0].average_rate == fps


@pytest.mark.parametrize("seconds", [0, 0.4, 3])
def test_sound_and_pictures_of_different_length(tmp_path, seconds):
    samples = int(seconds * 16000)
    assert write(tmp_path / "a.mp4", np.zeros((samples, 1), np.float32), 16000, count=30) == 30
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 30
    if samples:
        assert probe_audio(tmp_path / "a.mp4").samples >= samples


def test_record(tmp_path):
    record = {"model": "ünïcode ☃", "consent": {"who": "Ada"}, "synthetic": False}
    write(tmp_path / "a.mp4", noise(8000, 1, 16000), 16000, record=record)
    assert read_record(tmp_path / "a.mp4") == {**record, "synthetic": True}
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert json.loads(container.metadata["comment"])["synthetic"] is True
    with av.open(str(tmp_path / "b.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2000), np.float32), "flt", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for name in ("b.mp4", "none.mp4"):
        with pytest.raises(UserError, match=name):
            read_record(tmp_path / name)


def test_a_records_bytes_outside_utf_8_are_left_out(tmp_path):
    write(tmp_path / "a.mp4", noise(8000, 1, 16000), 16000, record={"model": "four"})
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.count(b"four") == 1
    (tmp_path / "a.mp4").write_bytes(data.replace(b"four", b"f\xff\xfer"))
    assert read_record(tmp_path / "a.mp4") == {"model": "fr", "synthetic": True}


@pytest.mark.parametrize("size", [64, 96, 128, 256, 512, 1024])
@pytest.mark.parametrize("ground", [0, 128, 255])
def test_label_is_small_and_can_be_seen(size, ground):
    picture = np.full((size, size, 3), ground, np.uint8)
    given = picture.copy()
    marked = draw_label(picture)
    np.testing.assert_array_equal(picture, given)
    rows, cols = np.nonzero((marked != picture).any(-1))
    box = np.s_[size - (size - rows.min()) :, cols.min() :]
    assert 0.01 < marked[box][..., 0].size / size**2 <= 0.04
    assert rows.min() > 0.85 * size and cols.min() > 0.4 * size
    label = marked[box][..., 0]
    assert label.max() > 220 and label.min() < 90
    # Nine letters, and columns without ink between them.
    inked = (label > 170).any(0)
    assert 8 <= (np.diff(inked.astype(int)) == 1).sum() + inked[0] <= 10


def test_marks_are_optional_and_the_label_survives_coding(tmp_path):
    sound = noise(8000, 1, 16000)
    for name, marks in (("a.mp4", True), ("b.mp4", False)):
        write(tmp_path / name, sound, 16000, marks=marks)
    (_, marked), (_, plain) = (next(read_frames(tmp_path / n, FPS, 64)) for n in ("a.mp4", "b.mp4"))
    changed = np.abs(marked.astype(int) - plain).max(-1) > 40
    assert changed[-5:, -32:].mean() > 0.5 and changed[:48].mean() < 0.01


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_nothing_is_left_of_a_video_that_fails(tmp_path, error):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"the good one")

    def failing():
        yield from pictures(10)
        assert [p.name[0] for p in sorted(tmp_path.iterdir())] == [".", "a"]
        raise error

    with pytest.raises(error):
        write_video(path, failing(), FPS, [noise(16000, 1, 16000)], 16000, 1, {})
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_bytes() == b"the good one"


def test_impossible_pictures(tmp_path):
    sound = [noise(1000, 1, 16000)]
    odd = np.zeros((64, 65, 3), np.uint8)
    small, large = np.zeros((64, 64, 3), np.uint8), np.zeros((128, 128, 3), np.uint8)
    for frames, problem in (([], "at least one"), ([odd], "65x64"), ([small, large], "picture 1")):
        with pytest.raises(ValueError, match=problem):
            write_video(tmp_path / "a.mp4", frames, FPS, sound, 16000, 1, {})
    assert not list(tmp_path.iterdir())


def test_outputs_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.mp4").mkdir()
    for path, problem in [
        (tmp_path / "a.avi", "ends in .mp4"),
        (tmp_path / "folder.mp4", "folder"),
        (tmp_path / "file" / "a.mp4", "cannot be written"),
    ]:
        with pytest.raises(UserError, match=problem) as error:
            check_writable(path)
        assert str(error.value).startswith(str(path))
    assert check_writable(str(tmp_path / "new" / "deep" / "a.MP4")).parent.is_dir()
    assert not list((tmp_path / "new" / "deep").iterdir())


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path):
    kept = [".unfinished-held.mp4", ".talk.2026.mp4", "unfinished-1.mp4"]
    for name in (*kept, ".unfinished-1.mp4", ".unfinished-2.mp4"):
        (tmp_path / name).touch()
    with (tmp_path / kept[0]).open() as another:
        fcntl.flock(another, fcntl.LOCK_EX)
        check_writable(tmp_path / "talk.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_two_writers_of_one_video_do_not_mix(tmp_path):
    """The later one to end is there, whole, and no part of either is left."""
    path = tmp_path / "a.mp4"

    def while_another_writes():
        yield from pictures(3)
        write(path, noise(16000, 1, 16000), 16000, 5)
        yield from pictures(3)

    assert write_video(path, while_another_writes(), FPS, [], 16000, 1, {}) == 6
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == 6
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path):
    path = check_writable(tmp_path / "disk" / "a.mp4")
    path.parent.rmdir()
    with pytest.raises(OSError, match="No such file"):
        write(path, noise(16000, 1, 16000), 16000, 2)
    assert not path.parent.exists()


def test_a_build_without_an_encoder_is_named_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "ENCODERS", ("libx264", "aac_at"))
    with pytest.raises(UserError, match="a.mp4: this build of PyAV cannot encode with aac_at"):
        check_writable(tmp_path / "new" / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_sound_and_pictures_are_taken_in_step(tmp_path):
    """Neither is collected first: each is never more than a block or a frame ahead."""
    taken = {"sound": 0, "pictures": 0}
    rate, block = 16000, 800

    def sound():
        for _ in range(60):
            assert taken["sound"] / rate <= taken["pictures"] / 30 + block / rate
            taken["sound"] += block
            yield np.zeros((block, 1), np.float32)

    def frames():
        for picture in pictures(90):
            assert taken["pictures"] / 30 <= taken["sound"] / rate + 1 / 30
            taken["pictures"] += 1
            yield picture

    assert write_video(tmp_path / "a.mp4", frames(), FPS, sound(), rate, 1, {}) == 90


def test_memory_does_not_grow_with_length(tmp_path):
    peaks = []
    for seconds in (4, 20):
        sound = (np.zeros((1600, 1), np.float32) for _ in range(10 * seconds))
        tracemalloc.start()
        write_video(
            tmp_path / "a.mp4", pictures(30 * seconds), FPS, sound, 16000, 1, {}, preset="ultrafast"
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 20_000
