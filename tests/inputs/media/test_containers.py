"""Files that are no footage although they look like it, and what they name stays closed."""

import contextlib
import struct
import time
import tracemalloc
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import watching

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.footage import probing
from lumiere_jax.inputs.footage.probing import probe
from lumiere_jax.inputs.footage.reading import read_audio, read_frames
from lumiere_jax.inputs.media import containers, mp4_atoms, upright_pictures
from lumiere_jax.inputs.sound import sound_tracks
from lumiere_jax.inputs.sound.sound_tracks import probe_audio

FPS = Fraction(30)


def film(path, rate=10, codec="mpeg4", sound="pcm_s16le", frames=20, size=64):
    """A grey clip with a second of sound for every second of picture."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        video.width = video.height = size
        video.pix_fmt = "yuv420p"
        audio = container.add_stream(sound, rate=16_000, layout="mono")
        samples = 16_000 // rate
        for t in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((size, size, 3), t, np.uint8), "rgb24")
            container.mux(video.encode(picture))
            frame = av.AudioFrame.from_ndarray(np.ones((1, samples), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 16_000, t * samples
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def changed(path, name, offset, value, which=0):
    """Overwrites 32 bits after the name of one of the boxes of an MP4."""
    data = bytearray(path.read_bytes())
    places = [i for i in range(len(data)) if data[i : i + 4] == name]
    place = places[which] + 4 + offset
    data[place : place + 4] = struct.pack(">I", value)
    path.write_bytes(data)
    return path


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile {0}\n",
    "unsafe": "ffconcat version 1.0\nfile '{1}/{0}'\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{0}\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{0}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "smil": '<smil><body><video src="{0}"/></body></smil>',
    "imf": '<?xml version="1.0"?><CompositionPlaylist '
    'xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>{0}</Id></CompositionPlaylist>',
    "ismv": "[playlist]\nFile1={0}\nNumberOfEntries=1\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{0}"/></svg>',
    "tty": "\x1b[2J\x1b[31mlecture\x1b[0m\n" * 99,
    "srt": "1\n00:00:00,000 --> 00:00:09,000\n{0}\n",
    "webvtt": "WEBVTT\n\n00:00.000 --> 00:09.000\n{0}\n",
    "vobsub": "# VobSub index file, v7\nid: en, index: 0\ntimestamp: 00:00:01:000, filepos: 0\n",
    "ffmetadata": ";FFMETADATA1\ntitle={0}\n",
    "ppm": "P6\n64 64\n255\n" + "grey" * 4096,
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "%03d.png"])
def test_a_text_under_any_name_is_no_footage_and_what_it_names_stays_closed(tmp_path, kind, suffix):
    film(tmp_path / "secret.mov")
    path = tmp_path / f"x.{suffix}"
    path.write_text(PLAYLISTS[kind].format("secret.mov", tmp_path))
    with watching.opened(tmp_path) as names:
        for reader in (probe, probe_audio):
            with pytest.raises(UserError, match="x.* this is not a media file"):
                reader(path)
    assert names == {path.name}


def test_what_a_quicktime_file_refers_to_stays_closed(tmp_path):
    """A data reference with an alias, or a URL, in place of the file's own data."""
    film(tmp_path / "secret.mov")
    data = film(tmp_path / "whole.mov").read_bytes()
    for kind, name in ((b"url ", b"secret.mov\0"), (b"alis", b"\0\0secret.mov\0"), (b"rsrc", b"")):
        place = data.index(b"dref") + 4
        own = data[place + 8 : place + 20]  # size, kind, version and the flag of the file itself
        assert own[8:] == b"\0\0\0\1"
        new = kind + bytes(4) + name
        path = tmp_path / "hostile.mov"
        path.write_bytes(data.replace(own, struct.pack(">I", 12) + (new + bytes(8))[:8]))
        with watching.opened(tmp_path) as names, contextlib.suppress(UserError):
            list(islice(read_frames(path, FPS, 64), 9))
        assert names == {path.name}


def test_every_admitted_format_is_one_that_ffmpeg_has():
    known = {name for format in av.formats_available for name in format.split(",")}
    assert set(containers.FORMATS.split(",")) <= known


@pytest.mark.parametrize("which", [0, 1])
def test_an_index_of_more_samples_than_bytes_is_refused_at_once(tmp_path, which):
    """FFmpeg would take gigabytes for each track."""
    path = film(tmp_path / "a.mov")
    changed(path, b"stsz", 4, 1, which)
    changed(path, b"stsz", 8, 2**31 - 1, which)
    changed(path, b"stsc", 12, 2**31 - 1, which)
    for reader in (probe, probe_audio):
        with pytest.raises(UserError, match="a.mov: this is not a media file"):
            reader(path)


def test_edit_lists_and_fragments_that_repeat_samples_are_counted(tmp_path):
    def box(name, content):
        return struct.pack(">I", 8 + len(content)) + name + content

    def promises(*samples_and_edits):
        samples, edits, runs = samples_and_edits
        table = box(b"stsz", struct.pack(">III", 0, 9, samples))
        edited = box(b"edts", box(b"elst", struct.pack(">II", 0, edits)))
        track = box(b"trak", edited + box(b"mdia", box(b"minf", box(b"stbl", table))))
        run = box(b"moof", box(b"traf", box(b"trun", struct.pack(">II", 0, runs))))
        path = tmp_path / "boxes"
        path.write_bytes(box(b"ftyp", b"isom") + box(b"moov", track) + run)
        with path.open("rb") as file:
            return mp4_atoms.promises_too_much(file)

    assert not promises(100_000, 1, 100_000)
    assert promises(2**31, 1, 0) and promises(0, 1, 2**31)
    assert promises(10_000, 10_000, 0)


def test_boxes_of_any_size_end(tmp_path):
    path = tmp_path / "boxes"
    for data in (b"", b"moov", b"\0\0\0\0moov" * 50, b"\0\0\0\7moov", b"\0\0\0\1moov" + bytes(8)):
        path.write_bytes(data + struct.pack(">I", 2**32 - 1) + b"moov" + b"\xff" * 40)
        with path.open("rb") as file:
            assert mp4_atoms.promises_too_much(file) in (False, True)


@pytest.mark.parametrize(
    "name, offset, value",
    [
        ("tkhd", 76, 2**31 - 1),
        ("tkhd", 80, 2**31 - 1),
        ("mvhd", 12, 0),
        ("mvhd", 16, 2**32 - 1),
        ("mdhd", 12, 0),
        ("mdhd", 12, 2**32 - 1),
        ("mdhd", 16, 2**32 - 1),
        ("stts", 4, 2**32 - 1),
        ("stts", 8, 2**32 - 1),
        ("stts", 12, 2**31 - 1),
        ("stsc", 4, 2**32 - 1),
        ("stsc", 8, 0),
        ("stsz", 4, 2**31 - 1),
        ("stsz", 8, 2**32 - 1),
        ("stco", 4, 2**32 - 1),
        ("stco", 8, 2**32 - 1),
        ("stsd", 4, 2**32 - 1),
        ("stsd", 36, 2**32 - 1),
        ("elst", 4, 2**32 - 1),
        ("elst", 8, 2**32 - 1),
        ("elst", 12, 2**31),
    ],
)
def test_absurd_headers_give_a_result_or_one_error(tmp_path, name, offset, value):
    for which in (0, 1):
        path = film(tmp_path / f"{which}.mp4", codec="libx264", sound="aac")
        count = path.read_bytes().count(name.encode())
        changed(path, name.encode(), offset, value, min(which, count - 1))
        tracemalloc.start()
        for read in (lambda path: read_frames(path, FPS, 64), read_audio):
            with contextlib.suppress(UserError):
                for _ in islice(read(path), 99):
                    pass
        assert tracemalloc.get_traced_memory()[1] < 2**27
        tracemalloc.stop()


@pytest.mark.parametrize("side", [8193, 10**9])
def test_a_picture_larger_than_any_is_refused_before_it_is_decoded(tmp_path, side):
    path = film(tmp_path / "a.avi", codec="ffv1")
    data = bytearray(path.read_bytes())
    place = data.index(b"strf") + 12
    data[place : place + 8] = struct.pack("<ii", side, side)
    path.write_bytes(data)
    with pytest.raises(UserError, match="a.avi: "):
        probe(path)


def test_pixels_far_wider_than_high_or_higher_than_wide_are_refused():
    picture = SimpleNamespace(width=64, height=64)
    probing.check_size(Path("a.mov"), picture, Fraction(128))
    for aspect, message in ((Fraction(200), "12800x64, over"), (Fraction(1, 200), "200 times")):
        with pytest.raises(UserError, match=rf"a.mov: .*{message}"):
            probing.check_size(Path("a.mov"), picture, aspect)


@pytest.mark.parametrize("jump", [10**5, 10**9, 10**12])
def test_time_stamps_of_a_thousand_years_are_refused(tmp_path, jump):
    """Neither pictures nor silence are made for them."""
    path = tmp_path / "a.nut"
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=10)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for second in (0, 1, jump):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            picture.pts, picture.time_base = 10 * second, Fraction(1, 10)
            frame = av.AudioFrame.from_ndarray(np.ones((1, 1600), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 16_000, 16_000 * second
            frame.time_base = Fraction(1, 16_000)
            for packet in [*video.encode(picture), *audio.encode(frame)]:
                container.mux(packet)
    begin = time.process_time()
    with pytest.raises(UserError, match=rf"a.nut: its time stamps go on for {jump}.* over a day"):
        probe(path)
    with pytest.raises(UserError, match="over a day"):
        read_audio(path)
    assert time.process_time() - begin < 60
    assert sum(len(block) for block in sound_tracks.read_sound(path)) == 4800


def test_a_picture_that_changes_its_size_is_named_where_a_crop_does_not_fit_it(tmp_path):
    parts = [
        film(tmp_path / f"{n}.ts", codec="mpeg2video", sound="mp2", size=n, rate=25)
        for n in (128, 64)
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert len(list(read_frames(path, Fraction(25), 64))) >= 20
    with pytest.raises(UserError, match="both.ts: picture .* of another size or kind"):
        list(read_frames(path, Fraction(25), 64, upright_pictures.Crop(40, 40, 80)))
