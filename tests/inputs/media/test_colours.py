"""Known colours, coded by the forward formulas of each standard, come back as SDR."""

from fractions import Fraction

import av
import numpy as np
import pytest

from lumiere_jax.inputs.footage.probing import probe
from lumiere_jax.inputs.footage.reading import read_frames
from lumiere_jax.inputs.media.colours import Colours, to_sdr
from lumiere_jax.workflows.footage_flags import probed_clips

FPS = Fraction(25)
SKIN = (205, 150, 125)
SDR = [SKIN, (92, 58, 44), (255, 255, 255), (128, 128, 128), (30, 40, 120), (16, 14, 12), (0, 0, 0)]
# Linear BT.709 to BT.2020 (ITU-R BT.2087) and to Display P3.
TO_2020 = np.array([(0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956)])
TO_P3 = np.array([(0.8225, 0.1775, 0), (0.0332, 0.9668, 0), (0.0171, 0.0724, 0.9105)])
Y_2020 = np.array([0.2627, 0.6780, 0.0593])
# Codes of ITU-T H.273.
BT709, BT2020, P3 = 1, 9, 12
SRGB, TEN_BITS, PQ, HLG = 13, 14, 16, 18


def linear(rgb):
    v = np.asarray(rgb) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def srgb(light):
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def pq(rgb, nits=203):
    """R'G'B' of SDR whose white is of so many cd/m²."""
    y = (TO_2020 @ linear(rgb) * nits / 10_000) ** (2610 / 16384)
    return ((107 / 128 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def hlg(rgb, nits=203):
    display = TO_2020 @ linear(rgb) * nits / 1000
    scene = display * max(display @ Y_2020, 1e-9) ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


def ten_bits(coded, luma, rows=64, cols=64):
    """A frame of one colour, of limited range."""
    kr, _, kb = luma
    y = coded @ luma
    cb, cr = (coded[2] - y) / (2 - 2 * kb), (coded[0] - y) / (2 - 2 * kr)
    frame = av.VideoFrame(cols, rows, "yuv420p10le")
    values = (876 * y + 64, 896 * cb + 512, 896 * cr + 512)
    for plane, value in zip(frame.planes, values, strict=True):
        plane.update(np.full(plane.buffer_size // 2, round(value), "<u2").tobytes())
    return frame


def shown(film, path, colours, luma, codec="ffv1", coding=None, **tags):
    """Each colour as its frame is read."""
    path = film(path, [ten_bits(c, luma) for c in colours], codec, coding, color_range=1, **tags)
    frames = [picture for _, picture in read_frames(path, FPS, 64)]
    assert len(frames) >= len(colours) - 1 and frames[0].dtype == np.uint8
    return np.array([picture[32, 32] for picture in frames])


@pytest.mark.parametrize(
    ("name", "codec", "coding"),
    [
        ("a.mkv", "ffv1", {}),
        ("a.mp4", "libx264", {"crf": "5", "g": "1"}),
        ("a.mov", "libx265", {"crf": "5", "x265-params": "keyint=1:log-level=none:pools=1"}),
    ],
)
@pytest.mark.parametrize(("trc", "forward", "kind"), [(PQ, pq, "PQ"), (HLG, hlg, "HLG")])
def test_hdr_comes_back_as_sdr(film, tmp_path, capsys, name, codec, coding, trc, forward, kind):
    tags = {"color_trc": trc, "color_primaries": BT2020, "colorspace": BT2020}
    coded = [forward(rgb) for rgb in SDR]
    found = shown(film, tmp_path / name, coded, Y_2020, codec, coding, **tags)
    np.testing.assert_allclose(found, SDR[: len(found)], atol=8)
    probed_clips({"a": tmp_path / name}, None)
    said = f"{tmp_path / name}: {kind} (HDR) footage: tone-mapped to SDR.\n"
    tone = f"{tmp_path / name} has hardly any sound above 3.0 kHz"
    assert capsys.readouterr().out == f"{said}{tone}: record narrations with the same band.\n"


@pytest.mark.parametrize(("trc", "forward"), [(PQ, pq), (HLG, hlg)])
def test_hdr_that_names_its_transfer_alone_is_of_bt2020(film, tmp_path, trc, forward):
    found = shown(film, tmp_path / "a.mkv", [forward(SKIN)] * 4, Y_2020, color_trc=trc)
    np.testing.assert_allclose(found[0], SKIN, atol=4)


@pytest.mark.parametrize(("kind", "forward"), [("PQ", pq), ("HLG", hlg)])
def test_highlights_are_compressed_in_order(kind, forward):
    nits = [150, 203, 300, 500, 990]
    coded = np.array([[forward((255, 255, 255), n) for n in nits]])
    found = to_sdr(np.rint(coded * 65535).astype(np.uint16), Colours(kind, "BT.2020"))[0, :, 1]
    assert (np.diff(found.astype(int)) > 0).all()
    assert found[1] >= 247 and found[-1] >= 253


@pytest.mark.parametrize(
    ("primaries", "matrix", "luma", "trc", "gamut"),
    [
        (BT2020, TO_2020, Y_2020, TEN_BITS, "BT.2020"),
        (P3, TO_P3, np.array([0.2126, 0.7152, 0.0722]), SRGB, "P3"),
    ],
)
def test_sdr_of_a_wide_gamut_is_converted(film, tmp_path, primaries, matrix, luma, trc, gamut):
    tags = {"color_trc": trc, "color_primaries": primaries}
    tags["colorspace"] = BT2020 if primaries == BT2020 else BT709
    coded = [srgb(matrix @ linear(rgb)) for rgb in SDR]
    found = shown(film, tmp_path / "a.mkv", coded, luma, **tags)
    np.testing.assert_allclose(found, SDR[: len(found)], atol=4)
    (treatment,) = probe(tmp_path / "a.mkv").treatments
    assert gamut in treatment


def test_ordinary_sdr_is_not_touched(film, tmp_path):
    tags = {"color_trc": BT709, "color_primaries": BT709, "colorspace": BT709}
    coded = [np.array(rgb) / 255 for rgb in SDR]
    found = shown(film, tmp_path / "a.mkv", coded, np.array([0.2126, 0.7152, 0.0722]), **tags)
    np.testing.assert_allclose(found, SDR[: len(found)], atol=4)
    assert not probe(tmp_path / "a.mkv").treatments


def test_a_large_picture_is_converted_as_its_parts_are():
    random = np.random.default_rng(0)
    picture = random.integers(0, 65536, (300, 40, 3)).astype(np.uint16)
    for colours in (Colours("HLG", "BT.2020"), Colours("PQ", "P3"), Colours("", "P3")):
        whole = to_sdr(picture, colours)
        rows = [to_sdr(picture[i : i + 1], colours) for i in range(300)]
        np.testing.assert_array_equal(whole, np.concatenate(rows))
