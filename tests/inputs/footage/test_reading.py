"""Footage of every kind, made on the spot: the picture's brightness counts its frames."""

import struct
import tracemalloc
import wave
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.footage.probing import Clip, probe
from lumiere_jax.inputs.footage.reading import read_audio, read_frames, read_sizes, read_sources
from lumiere_jax.inputs.media.upright_pictures import Crop
from lumiere_jax.inputs.sound.sound_tracks import probe_audio, read_sound, to_mono

FPS = Fraction(30)
LEVELS = 14


def grey(index, rows=64, cols=96):
    return np.full((rows, cols, 3), 20 + 16 * (index % LEVELS), np.uint8)


def tone(seconds, rate, channels):
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    return np.tile(wave[:, None], (1, channels)).astype(np.float32)


def make(
    path,
    pictures=None,
    times=None,
    fps=Fraction(25),
    seconds=2,
    codec="libx264",
    pix_fmt="yuv420p",
    sound=None,
    rate=44100,
    layout="stereo",
    acodec="aac",
    sample_fmt=None,
    sound_at=Fraction(0),
    gap=None,
    options=None,
    coding=None,
    picture=True,
    audio=True,
    aspect=None,
):
    """A clip of pictures at `times` (default: fps for `seconds`) and sound (default: a tone)."""
    count = int(seconds * fps)
    times = [i / fps for i in range(count)] if times is None else times
    pictures = map(grey, range(len(times))) if pictures is None else pictures
    with av.open(str(path), "w", options=options or {}) as container:
        if picture:
            fine = (
                {"crf": "10", "preset": "ultrafast", "bf": "2", "b_strategy": "0"}
                if codec == "libx264"
                else {}
            )
            v = container.add_stream(codec, rate=fps, options=fine | (coding or {}))
            pictures = list(pictures)
            v.height, v.width = pictures[0].shape[:2]
            v.pix_fmt = pix_fmt
            v.bit_rate = 2_000_000
            if aspect:
                v.codec_context.sample_aspect_ratio = aspect
            fixed = codec in ("mpeg1video", "mpeg2video", "mpeg4") or path.suffix == ".avi"
            base = 1 / fps if fixed else Fraction(1, 90000)
            v.codec_context.time_base = base
        if audio:
            channels = av.AudioLayout(layout).nb_channels
            sound = tone(seconds, rate, channels) if sound is None else sound
            a = container.add_stream(acodec, rate=rate, layout=layout)
            if sample_fmt:
                a.codec_context.format = sample_fmt
        packets = []
        if picture:
            for time, array in zip(times, pictures, strict=True):
                frame = av.VideoFrame.from_ndarray(array, "rgb24").reformat(format=pix_fmt)
                frame.pts, frame.time_base = round(time / base), base
                packets += v.encode(frame)
            packets += v.encode(None)
        if audio:
            for start in range(0, len(sound), 1000):
                block = np.ascontiguousarray(sound[start : start + 1000]).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(block, "flt", layout)
                shift = round(sound_at * rate) + (gap[1] if gap and start >= gap[0] else 0)
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = start + shift
                packets += a.encode(frame)
            packets += a.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


def expected(times, fps, count):
    times = [time - times[0] for time in times]
    shown = [sum(t <= (i + Fraction(1, 4)) / fps for t in times) - 1 for i in range(count)]
    return [max(index, 0) for index in shown]


def levels(frames):
    return [round((float(picture.mean()) - 20) / 16) for _, picture in frames]


def turn(path, a, b, c, d):
    """Write a display matrix into the picture's track of an MP4."""
    data = path.read_bytes()
    upright = b"".join(x.to_bytes(4, "big") for x in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
    at = data.index(upright, data.index(b"tkhd"))
    turned = (a, b, 0, c, d, 0)
    new = b"".join((x << 16).to_bytes(4, "big", signed=True) for x in turned) + upright[24:]
    path.write_bytes(data[:at] + new + data[at + 36 :])


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "30", "50", "60"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_any_rate_is_resampled_by_time_stamps(tmp_path, rate, container):
    fps = Fraction(rate)
    path = make(tmp_path / f"clip.{container}", fps=fps)
    frames = list(read_frames(path, FPS, 64))
    times = [i / fps for i in range(int(2 * fps))]
    if container == "mkv":  # which writes whole milliseconds
        times = [Fraction(round(time * 1000), 1000) for time in times]
    assert [index for index, _ in frames] == expected(times, FPS, len(frames))
    assert levels(frames) == [index % LEVELS for index, _ in frames]
    assert len(frames) == probe(path).frames(FPS) == int(len(times) / fps * 30 + Fraction(1, 20))


@pytest.mark.parametrize("fps", ["24", "25", "30000/1001", "60"])
def test_variable_rate_to_any_rate(tmp_path, fps):
    steps = np.random.default_rng(0).choice([17, 33, 34, 50, 140], 40)
    times = [Fraction(int(ms), 1000) for ms in np.concatenate([[0], np.cumsum(steps)])]
    path = make(tmp_path / "clip.mkv", times=times, seconds=3)
    frames = list(read_frames(path, Fraction(fps), 64))
    assert [i for i, _ in frames] == expected(times, Fraction(fps), len(frames))
    assert levels(frames) == [i % LEVELS for i, _ in frames]


@pytest.mark.parametrize(
    ("name", "codec", "coding", "middle"),
    [
        ("a.mp4", "libx264", {"g": "25", "bf": "3"}, True),
        ("b.mp4", "libx264", {"g": "25", "bf": "3", "x264-params": "open-gop=1"}, True),
        ("c.mp4", "libx264", {"g": "500"}, False),
        ("a.mov", "mpeg4", {"g": "12"}, True),
        ("a.mkv", "libx264", {"g": "25", "bf": "3"}, True),
        ("a.webm", "libvpx-vp9", {"g": "25"}, True),
        ("a.ts", "libx264", {"g": "25"}, False),
        ("a.avi", "libx264", {"g": "25"}, False),
    ],
)
def test_reading_from_the_middle_gives_the_same_pictures(tmp_path, name, codec, coding, middle):
    """Exactly, where decoding begins at a key frame, and where it must begin at the start."""
    noise = np.random.default_rng(0).integers(0, 12, (300, 64, 96, 3), np.uint8)
    sound = {"acodec": "libopus", "rate": 48000, "sample_fmt": "flt"} if "webm" in name else {}
    pictures = [grey(i) + noise[i] for i in range(300)]
    path = make(tmp_path / name, pictures, seconds=12, codec=codec, coding=coding, **sound)
    assert (probe(path).entry < 3) == middle
    whole = list(read_frames(path, FPS, 64))
    np.testing.assert_array_equal(read_sources(path, FPS), [index for index, _ in whole])
    for first, stop in ((0, 20), (1, 9), (100, 130), (200, 201), (len(whole) - 7, len(whole))):
        part = [squares for _, squares in read_sizes(path, FPS, (64, 32), None, first, stop)]
        assert len(part) == stop - first
        for (picture, small), (_, wanted) in zip(part, whole[first:stop], strict=True):
            np.testing.assert_array_equal(picture, wanted)
            assert small.shape == (32, 32, 3)


@pytest.mark.parametrize("sound_at", [Fraction(-4), Fraction(4)])
def test_reading_from_the_middle_where_one_track_is_late(tmp_path, sound_at):
    times = [Fraction(i * i, 2000) for i in range(150)]
    path = make(tmp_path / "a.mkv", times=times, seconds=11, sound_at=sound_at, coding={"g": "10"})
    whole = [picture for _, picture in read_frames(path, FPS, 64)]
    for first in range(1, len(whole) - 5, 37):
        part = read_sizes(path, FPS, (64,), None, first, first + 5)
        for (_, (picture,)), wanted in zip(part, whole[first : first + 5], strict=True):
            np.testing.assert_array_equal(picture, wanted)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "acodec", "rate", "layout", "sample_fmt"),
    [
        ("a.mp4", "libx264", "yuv444p", "aac", 44100, "stereo", None),
        ("a.mov", "libx264", "yuv420p10le", "pcm_s16le", 44100, "stereo", "s16"),
        ("a.mkv", "ffv1", "gray", "flac", 48000, "7.1", "s16"),
        ("b.mkv", "ffv1", "bgr0", "pcm_s24le", 96000, "mono", "s32"),
        ("a.avi", "mpeg4", "yuv420p", "pcm_u8", 8000, "mono", "u8"),
        ("b.avi", "mjpeg", "yuvj422p", "libmp3lame", 22050, "stereo", None),
        ("c.avi", "libx264", "yuv420p", "libmp3lame", 44100, "mono", None),
        ("a.webm", "libvpx", "yuv420p", "libopus", 48000, "stereo", "flt"),
        ("a.mpg", "mpeg2video", "yuv420p", "mp2", 44100, "stereo", "s16"),
        ("a.ts", "libx264", "yuv420p", "aac", 32000, "5.1", None),
        ("c.mkv", "libx264", "yuv420p", "pcm_f64le", 11025, "mono", "dbl"),
    ],
)
def test_any_container_and_format(tmp_path, name, codec, pix_fmt, acodec, rate, layout, sample_fmt):
    path = make(
        tmp_path / name,
        codec=codec,
        pix_fmt=pix_fmt,
        acodec=acodec,
        rate=rate,
        layout=layout,
        sample_fmt=sample_fmt,
    )
    clip = probe(path)
    assert (clip.rows, clip.cols, clip.sample_rate, clip.truncated) == (64, 96, rate, False)
    assert clip.channels == av.AudioLayout(layout).nb_channels
    assert clip.seconds == pytest.approx(2, abs=0.08)
    frames = list(read_frames(path, Fraction(25), 64))
    assert len(frames) == clip.frames(Fraction(25)) and frames[0][1].shape == (64, 64, 3)
    assert levels(frames) == [index % LEVELS for index, _ in frames]
    assert len({index for index, _ in frames}) >= len(frames) - 2
    sound = np.concatenate(list(read_audio(path)))
    assert sound.dtype == np.float32 and len(sound) >= len(frames) * 640
    spectrum = np.abs(np.fft.rfft(sound[4000:20000]))
    assert spectrum.argmax() == 440
    assert np.abs(sound[4000:20000]).max() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("sound_at", [Fraction(-2, 5), Fraction(0), Fraction(3, 10)])
def test_flash_and_click_stay_together(tmp_path, container, sound_at):
    """Whichever track starts first: at 1.2 s on the file's clock both come."""
    rate, offset = 44100, max(-sound_at, Fraction(0))
    times = [i / Fraction(25) + offset for i in range(50)]
    pictures = [np.full((64, 96, 3), 255 if i == 30 else 0, np.uint8) for i in range(50)]
    sound = np.zeros((2 * rate, 2), np.float32)
    sound[round((Fraction(6, 5) + offset - max(sound_at, 0)) * rate)] = 0.9
    path = make(
        tmp_path / f"clip.{container}",
        pictures,
        times,
        sound=sound,
        sound_at=max(sound_at, Fraction(0)),
    )
    flash = [p.mean() > 128 for _, p in read_frames(path, FPS, 64)].index(True)
    heard = np.concatenate(list(read_audio(path)))
    click = np.abs(heard).argmax()
    assert abs(click / 16000 - flash / 30) <= 1 / 30
    assert click / 16000 == pytest.approx(float(Fraction(6, 5) + offset), abs=0.002)


def test_gaps_in_the_sound_are_silence(tmp_path):
    rate = 8000
    sound = np.zeros((2 * rate, 1), np.float32)
    sound[12000] = 0.9
    options = {"sound": sound, "rate": rate, "layout": "mono", "acodec": "pcm_s16le"}
    path = make(tmp_path / "clip.mkv", seconds=3, gap=(8000, 4000), sample_fmt="s16", **options)
    heard = np.concatenate(list(read_audio(path)))
    assert abs(int(np.abs(heard).argmax()) - 2 * 16000) <= 16


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_clip_says_where_there_is_no_sound_and_where_the_picture_begins(tmp_path, container):
    rate = 44100
    sound = np.zeros((3 * rate, 2), np.float32)
    late = make(tmp_path / f"late.{container}", seconds=3, sound_at=Fraction(1, 2))
    clip = probe(late)
    assert clip.unheard == (pytest.approx((0, 0.5), abs=0.03),) and clip.picture_from == 0
    times = [1 + Fraction(i, 25) for i in range(75)]
    early = probe(make(tmp_path / f"early.{container}", times=times, sound=sound))
    assert early.unheard == () and early.picture_from == pytest.approx(1, abs=0.03)
    holed = make(tmp_path / "holed.mkv", seconds=4, sound=sound, gap=(rate, rate))
    assert probe(holed).unheard == (pytest.approx((1, 2), abs=0.05),)


def test_both_end_with_the_shorter(tmp_path):
    for name, seconds in (("long.mp4", 3), ("short.mp4", 1)):
        path = make(tmp_path / name, sound=tone(seconds, 44100, 2))
        clip, shorter = probe(path), min(seconds, 2)
        assert clip.seconds == pytest.approx(shorter, abs=0.03)
        assert sum(1 for _ in read_frames(path, FPS, 64)) == clip.frames(FPS)
        samples = sum(len(block) for block in read_audio(path))
        assert samples >= clip.frames(FPS) * 16000 / 30
        assert samples == pytest.approx(shorter * 16000, abs=480)


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((0, 1, -1, 0), (0, 1)),
        ((-1, 0, 0, -1), (1, 1)),
        ((0, -1, 1, 0), (1, 0)),
        ((-1, 0, 0, 1), (0, 1)),
    ],
)
def test_pictures_are_upright(tmp_path, matrix, corner):
    """A white corner goes where the display matrix turns it (clockwise for (0, 1, -1, 0))."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:16, :16] = 255
    path = make(tmp_path / "clip.mp4", [picture] * 50)
    turn(path, *matrix)
    clip = probe(path)
    rows, cols = (96, 64) if matrix[0] == 0 else (64, 96)
    assert (clip.rows, clip.cols) == (rows, cols)
    x, y = (cols - 64) * corner[1], (rows - 64) * corner[0]
    _, upright = next(read_frames(path, FPS, 64, Crop(x, y, 64)))
    bright = [[upright[8 + 48 * i, 8 + 48 * j].mean() > 128 for j in (0, 1)] for i in (0, 1)]
    assert [(i, j) for i in (0, 1) for j in (0, 1) if bright[i][j]] == [corner]


def test_default_crop_is_the_centre_and_a_crop_is_exact(tmp_path):
    ramp = np.tile(np.arange(192, dtype=np.uint8)[None, :, None], (128, 1, 3))
    path = make(tmp_path / "clip.mkv", [ramp] * 50, codec="ffv1", pix_fmt="bgr0")
    _, centre = next(read_frames(path, FPS, 64))
    np.testing.assert_allclose(centre[0, :, 0], 32.5 + 2 * np.arange(64), atol=1)
    _, named = next(read_frames(path, FPS, 64, Crop(100, 40, 64)))
    np.testing.assert_array_equal(named[5, :, 1], 100 + np.arange(64))
    for crop in (Crop(-1, 0, 64), Crop(129, 0, 64), Crop(0, 65, 64), Crop(0, 0, 32)):
        with pytest.raises(UserError, match=rf"clip.mkv.*{crop.x},{crop.y},{crop.side}.*192x128"):
            read_frames(path, FPS, 64, crop)


def test_oblong_pixels_become_square(tmp_path):
    path = make(tmp_path / "clip.mp4", aspect=Fraction(4, 3))
    assert (probe(path).rows, probe(path).cols) == (64, 128)


@pytest.mark.parametrize(
    ("colorspace", "color_range", "rows"), [(1, 1, 64), (6, 1, 64), (1, 2, 64), (2, 1, 720)]
)
def test_colours(tmp_path, colorspace, color_range, rows):
    """YCbCr by its definition, decoded as it is tagged; untagged HD is BT.709."""
    rgb = np.array([200, 40, 90]) / 255
    kr, kb = (0.299, 0.114) if colorspace == 6 else (0.2126, 0.0722)
    y = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    cb, cr = (rgb[2] - y) / (2 - 2 * kb), (rgb[0] - y) / (2 - 2 * kr)
    scale, offset, chroma = (219, 16, 224) if color_range == 1 else (255, 0, 255)
    values = [y * scale + offset, cb * chroma + 128, cr * chroma + 128]
    path = make(tmp_path / "sound.mka", picture=False)
    sound = np.concatenate(list(read_sound(path)))
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        v = container.add_stream("libx264", rate=25, options={"crf": "1"})
        v.width, v.height, v.pix_fmt = rows, rows, "yuv420p"
        v.codec_context.colorspace, v.codec_context.color_range = colorspace, color_range
        a = container.add_stream("pcm_f32le", rate=44100, layout="stereo")
        for index in range(3):
            frame = av.VideoFrame(rows, rows, "yuv420p")
            for plane, value in zip(frame.planes, values, strict=True):
                plane.update(bytes([round(value)]) * plane.buffer_size)
            frame.pts = index
            container.mux(v.encode(frame))
        container.mux(v.encode(None))
        frame = av.AudioFrame.from_ndarray(sound[:5000].reshape(1, -1), "flt", "stereo")
        frame.sample_rate = 44100
        container.mux(a.encode(frame))
        container.mux(a.encode(None))
    _, picture = next(read_frames(path, FPS, 64))
    np.testing.assert_allclose(picture[32, 32], [200, 40, 90], atol=4)


@pytest.mark.parametrize(
    ("name", "codec", "acodec", "known"),
    [
        ("a.mp4", "libx264", "aac", True),
        ("a.mkv", "libx264", "aac", True),
        ("a.webm", "libvpx", "libopus", True),
        ("a.avi", "mpeg4", "libmp3lame", True),
        ("a.mpg", "mpeg2video", "mp2", False),
    ],
)
@pytest.mark.parametrize("part", [0.5, 0.83])
def test_what_is_whole_of_a_truncated_file_is_used(tmp_path, name, codec, acodec, known, part):
    noise = np.random.default_rng(0).integers(0, 60, (64, 96, 3), np.uint8)
    pictures = [np.roll(noise, i, 1) + grey(i) // 2 for i in range(50)]
    rate = 48000 if acodec == "libopus" else 44100
    whole = make(
        tmp_path / name,
        pictures,
        codec=codec,
        acodec=acodec,
        rate=rate,
        options={"movflags": "faststart"} if name.endswith("mp4") else {},
    )
    path = whole.with_stem("cut")
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
    clip = probe(path)
    assert 0.3 < clip.seconds < 1.95
    assert not probe(whole).truncated
    if known:
        assert clip.truncated
    frames = list(read_frames(path, FPS, 64))
    assert len(frames) == clip.frames(FPS)
    reference = dict(read_frames(whole, FPS, 64))
    for index, picture in frames[:-4]:
        np.testing.assert_array_equal(picture, reference[index])
    assert sum(len(block) for block in read_audio(path)) >= len(frames) * 16000 / 30


@pytest.mark.parametrize("shown", [500, 1000, 2000])
def test_a_track_that_starts_late_and_is_cut_by_its_edit_list_is_whole(tmp_path, shown):
    times = [2 + Fraction(i, 25) for i in range(50)]
    options = {"movie_timescale": "1000"}  # FFmpeg 9 would count finer
    path = make(tmp_path / "a.mp4", times=times, seconds=4, options=options)
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 8
    assert struct.unpack(">Ii", data[place + 4 : place + 12]) == (2000, -1)  # the empty edit
    data[place + 16 : place + 20] = struct.pack(">I", shown)
    path.write_bytes(data)
    clip = probe(path)
    assert not clip.truncated and clip.picture_from == 2
    assert clip.seconds == pytest.approx(2 + shown / 1000, abs=0.05)


def test_a_damaged_end_keeps_the_count(tmp_path):
    """Zeros where a download did not get to: the container is whole, its packets are not."""
    path = make(tmp_path / "a.mp4", options={"movflags": "faststart"}, acodec="libmp3lame")
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3 :] = bytes(len(data) - len(data) * 2 // 3)
    path.write_bytes(data)
    clip = probe(path)
    assert clip.truncated
    assert sum(1 for _ in read_frames(path, FPS, 64)) == clip.frames(FPS) > 0


@pytest.mark.parametrize(
    ("rate", "layout", "acodec", "sample_fmt", "name"),
    [
        (8000, "mono", "pcm_u8", "u8", "a.wav"),
        (44100, "stereo", "pcm_s16le", "s16", "a.wav"),
        (48000, "5.1", "flac", "s16", "a.flac"),
        (48000, "7.1", "pcm_f32le", "flt", "a.wav"),
        (22050, "mono", "libmp3lame", None, "a.mp3"),
        (44100, "stereo", "aac", None, "a.m4a"),
        (48000, "mono", "libopus", "flt", "a.ogg"),
    ],
)
def test_narrations_of_any_format_and_wrong_name(tmp_path, rate, layout, acodec, sample_fmt, name):
    path = make(
        tmp_path / name,
        picture=False,
        rate=rate,
        layout=layout,
        acodec=acodec,
        sample_fmt=sample_fmt,
        seconds=1.2345,
    )
    wrong = path.rename(tmp_path / "narration.dat")
    sound = probe_audio(wrong)
    channels = av.AudioLayout(layout).nb_channels
    assert (sound.rate, sound.channels, sound.truncated) == (rate, channels, False)
    samples = np.concatenate(list(read_sound(wrong)))
    assert samples.shape == (sound.samples, channels) and samples.dtype == np.float32
    if acodec.startswith(("pcm", "flac")):
        given = tone(1.2345, rate, channels)
        assert samples.shape == given.shape
        np.testing.assert_allclose(samples, given, atol=0.01)
    mono = np.concatenate(list(to_mono(read_sound(wrong), rate)))
    assert len(mono) == -(-sound.samples * 16000 // rate)
    assert np.abs(np.fft.rfft(mono[1000:17000])).argmax() == 440


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_moves_nothing(rate):
    """A smooth pulse keeps its place to a fraction of a sample, however it is cut."""
    time = np.arange(rate) / rate
    pulse = np.exp(-(((time - 0.5) / 0.002) ** 2)).astype(np.float32)[:, None]
    cuts = np.sort(np.random.default_rng(1).integers(0, rate, 9))
    mono = np.concatenate(list(to_mono(np.split(pulse, cuts), rate)))
    assert len(mono) == 16000
    exact = np.exp(-(((np.arange(16000) / 16000 - 0.5) / 0.002) ** 2))
    np.testing.assert_allclose(mono, exact, atol=0.01)


def test_a_video_is_a_narration_and_a_cover_is_no_picture(tmp_path):
    path = make(tmp_path / "clip.mp4", sound_at=Fraction(1, 2))
    assert probe_audio(path).seconds == pytest.approx(2, abs=0.05)
    path = tmp_path / "cover.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        v = container.add_stream("mjpeg", rate=25)
        v.width, v.height, v.pix_fmt = 64, 64, "yuvj420p"
        v.disposition = av.stream.Disposition.attached_pic
        a = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1, 44100, 1).reshape(1, -1), "flt", "mono")
        frame.sample_rate = 44100
        container.mux(v.encode(av.VideoFrame.from_ndarray(grey(3, 64, 64), "rgb24")))
        container.mux(v.encode(None))
        container.mux(a.encode(frame))
        container.mux(a.encode(None))
    assert probe_audio(path).rate == 44100
    with pytest.raises(UserError, match="no picture"):
        probe(path)


def bad(tmp_path):
    secret = make(tmp_path / "secret.mp4")
    yield tmp_path / "none.mp4", "no such file"
    yield tmp_path, "folder"
    files = {
        "zero.mp4": b"",
        "text.txt": b"hello\n" * 300,
        "noise.mp4": np.random.default_rng(0).bytes(5000),
        "head.mp4": secret.read_bytes()[:300],
        "list.ffconcat": f"ffconcat version 1.0\nfile {secret.name}\n".encode(),
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret.name}\n".encode(),
        "a.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=audio 5004 RTP/AVP 0\n",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        yield tmp_path / name, "empty" if not data else "not a media file"


def test_bad_files_are_named(tmp_path):
    for path, problem in bad(tmp_path):
        for reader in (probe, probe_audio, read_sound, read_audio):
            with pytest.raises(UserError, match=problem) as error:
                reader(path)
            assert str(error.value).startswith(str(path))


def test_missing_and_impossible_tracks_are_named(tmp_path):
    silent = make(tmp_path / "silent.mp4", audio=False)
    blind = make(tmp_path / "blind.mp4", picture=False)
    hollow = tmp_path / "hollow.wav"
    with wave.open(str(hollow), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
    tiny = make(tmp_path / "tiny.mp4", [grey(i, 48, 96) for i in range(50)])
    apart = make(tmp_path / "apart.mkv", sound_at=Fraction(9))
    alien = make(tmp_path / "alien.mp4")
    alien.write_bytes(alien.read_bytes().replace(b"avc1", b"zzzz"))
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "00" * 16,
        "encryption_kid": "11" * 16,
    }
    locked = make(tmp_path / "locked.mp4", options=options)
    for reader, path, problem in [
        (probe, silent, "no sound"),
        (probe_audio, silent, "no sound"),
        (probe, blind, "no picture"),
        (probe_audio, hollow, "zero length"),
        (probe, tiny, "96x48, under 64"),
        (probe, apart, "never play together"),
        (probe, alien, "decoded"),
        (probe, locked, "protected"),
        (probe_audio, locked, "protected"),
    ]:
        with pytest.raises(UserError, match=problem) as error:
            reader(path)
        assert path.name in str(error.value)


def test_frames_are_read_as_they_are_asked_for(tmp_path):
    """The first frame of a clip costs a few pictures, not the clip."""
    pictures = (grey(i, 128, 128) for i in range(250))
    path = make(tmp_path / "long.mp4", pictures, seconds=10)
    probe(path)
    tracemalloc.start()
    count = sum(1 for _ in read_frames(path, FPS, 128))
    sound = sum(1 for _ in read_audio(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 300 and sound > 50
    assert peak < 30 * 128 * 128 * 3


def test_frames_of_a_still_can_be_drawn_on(tmp_path):
    """Two frames that show one source picture do not share memory."""
    path = make(tmp_path / "clip.mp4", fps=Fraction(10))
    frames = read_frames(path, FPS, 64)
    first = next(frames)[1]
    first[:] = 0
    index, second = next(frames)
    assert index == 0 and second.mean() > 10


def test_real_footage(shared):
    for name, rows, cols, frames in [
        ("portrait.mp4", 458, 458, 450),
        ("variable_rate.mp4", 700, 700, 183),
        ("grid_bbaf2n.mpg", 288, 360, 89),
        ("gestures.mp4", 1920, 1080, 600),
    ]:
        clip = probe(shared / "footage" / name)
        assert (clip.rows, clip.cols, clip.frames(FPS)) == (rows, cols, frames)
        assert isinstance(clip, Clip) and not clip.truncated
        if name != "gestures.mp4":
            read = list(read_frames(clip.path, FPS, 64))
            assert len(read) == frames
            times = source_times(clip.path)
            zero = Fraction(clip.start)
            wanted = [
                max(sum(t <= zero + (i + Fraction(1, 4)) / FPS for t in times) - 1, 0)
                for i in range(frames)
            ]
            assert [index for index, _ in read] == wanted
    crop = next(read_frames(shared / "footage/gestures.mp4", FPS, 128, Crop(0, 420, 1080)))[1]
    whole = next(read_frames(shared / "footage/gestures.mp4", FPS, 128))[1]
    np.testing.assert_array_equal(crop, whole)
    assert cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).std() > 20


def source_times(path):
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def test_real_narrations(shared):
    for name, rate, channels, samples in [
        ("jfk.wav", 16000, 1, 176000),
        ("lj001_0001.wav", 22050, 1, 212893),
        ("mp3_named.wav", 44100, 2, 1264788),
    ]:
        sound = probe_audio(shared / "audio" / name)
        assert (sound.rate, sound.channels, sound.samples) == (rate, channels, samples)
