import contextlib
import dataclasses
import functools
import struct
import zlib
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumiere_jax.audio.frame_times import frame_start
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset import clip_archives
from lumiere_jax.inputs.dataset.columns import APERTURE, FIGURE, FRAME, KEYPOINTS, Column, Moment
from lumiere_jax.inputs.media import picture_bytes

FPS = Fraction(30_000, 1001)


def brightness(moment):
    """The frame's mean and maximum, of each colour."""
    return np.stack([moment.frame.mean((0, 1)), moment.frame.max((0, 1))])


BRIGHTNESS = Column(name="brightness", shape=(2, 3), dtype="uint8", fill=brightness)
COLUMNS = (KEYPOINTS, FRAME, BRIGHTNESS, FIGURE, APERTURE)


@pytest.fixture
def clip(tmp_path):
    random = np.random.default_rng(0)
    examples = [
        Moment(
            draw_frame=functools.partial(np.full, (64, 64, 3), 20 * t, np.uint8),
            figure=random.integers(0, 256, (64, 64, 3), np.uint8),
            keypoints=random.random((137, 3), np.float32),
            aperture=t / 10,
        )
        for t in range(6)
    ]
    samples = random.normal(size=frame_start(6, FPS) - 100).astype(np.float32)
    clip_archives.write_clip(tmp_path / "clip", COLUMNS, examples, np.array_split(samples, 5))
    return tmp_path / "clip", examples, samples


def test_figures_and_numbers_come_back_exactly_and_frames_nearly(clip):
    path, examples, _ = clip
    read = [
        *clip_archives.read_examples(path, COLUMNS, 0, 1),
        *clip_archives.read_examples(path, COLUMNS, 2, 3),
    ]
    for example, got in zip(examples[:1] + examples[2:5], read, strict=True):
        np.testing.assert_array_equal(picture_bytes.decode(got["figure"]), example.figure)
        np.testing.assert_allclose(picture_bytes.decode(got["frame"]), example.frame, atol=2)
        np.testing.assert_array_equal(got["keypoints"], example.keypoints)
        assert got["aperture"] == np.float32(example.aperture)
        np.testing.assert_array_equal(got["brightness"], np.full((2, 3), example.frame[0, 0, 0]))


def test_a_column_that_is_filled_with_another_shape_is_named(clip, tmp_path):
    _, (example, *_), _ = clip
    wrong = dataclasses.replace(BRIGHTNESS, shape=(3,))
    with pytest.raises(ValueError, match="'brightness' was filled with .2, 3., not .3,."):
        clip_archives.encode((wrong,), example)


def test_a_frame_that_is_left_out_takes_no_picture_and_zeros(tmp_path):
    with clip_archives.written(tmp_path) as add:
        add(*clip_archives.empty(COLUMNS))
    (example,) = clip_archives.read_examples(tmp_path, COLUMNS, 0, 1)
    assert example["frame"] == example["figure"] == b""
    assert not example["keypoints"].any() and not example["brightness"].any()


def test_the_colours_are_red_green_blue_in_both_codecs():
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    for encode in (picture_bytes.encode_jpeg, picture_bytes.encode_png):
        np.testing.assert_allclose(picture_bytes.decode(encode(red))[0, 0], [255, 0, 0], atol=2)


def test_sound_belongs_to_its_frames_to_the_sample_and_ends_in_silence(clip):
    path, _, samples = clip
    first, last = frame_start(2, FPS), frame_start(5, FPS)
    part = np.concatenate(list(clip_archives.read_sound(path, 2, 3, FPS)))
    np.testing.assert_array_equal(part, samples[first:last])
    whole = np.concatenate(list(clip_archives.read_sound(path, 0, 6, FPS)))
    np.testing.assert_array_equal(whole, np.pad(samples, (0, 100)))


def png(cols, rows):
    """A PNG that says how large it is, and no more."""
    header = b"IHDR" + struct.pack(">IIBBBBB", cols, rows, 8, 2, 0, 0, 0)
    whole = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = zlib.compress(bytes(99))
    return b"\x89PNG\r\n\x1a\n" + whole + struct.pack(">I", len(data)) + b"IDAT" + data + bytes(4)


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 1), (8193, 1)])
def test_a_picture_of_gigabytes_is_not_decoded(size):
    with pytest.raises(UserError, match=f"cannot be read .*{size[0]}x{size[1]}|neither PNG"):
        picture_bytes.decode(png(*size))


@pytest.mark.parametrize("kind", [".bmp", ".tiff", ".webp", ".ppm"])
def test_other_kinds_of_pictures_are_not_decoded(kind):
    _, data = cv2.imencode(kind, np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(UserError, match="neither PNG nor JPEG"):
        picture_bytes.decode(data.tobytes())


PICTURE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(
    encode=st.sampled_from([picture_bytes.encode_jpeg, picture_bytes.encode_png]),
    place=st.floats(0, 1),
    value=st.binary(max_size=9),
    cut=st.floats(0, 2),
)
def test_damage_gives_a_picture_or_one_error(encode, place, value, cut):
    data = encode(PICTURE)
    at = int(place * len(data))
    data = (data[:at] + value + data[at + len(value) :])[: int(cut * len(data))]
    with contextlib.suppress(UserError):
        assert max(picture_bytes.decode(data).shape) <= 8192


def test_a_picture_of_another_size_is_named():
    picture = picture_bytes.encode_png(np.zeros((32, 64, 3), np.uint8))
    assert picture_bytes.decode(picture).shape == (32, 64, 3)
    with pytest.raises(UserError, match="it does not have 64x64 pixels.: make it anew"):
        picture_bytes.decode(picture, (64, 64))
