"""Photographs of every kind show known colours, the right way up and over white."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.faces.stills import read_picture
from lumiere_jax.inputs.media import picture_bytes

SKIN = (205, 150, 125)
COLOURS = [SKIN, (92, 58, 44), (255, 255, 255), (128, 128, 128), (60, 80, 120), (30, 25, 20)]
# Linear BT.709 to Display P3 and Adobe RGB (1998), and their colorants in XYZ of D50.
GAMUTS = {
    "P3": (
        [(0.8225, 0.1775, 0), (0.0332, 0.9668, 0), (0.0171, 0.0724, 0.9105)],
        [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)],
    ),
    "Adobe RGB": (
        [(0.71513, 0.28487, 0), (0, 1, 0), (0, 0.04116, 0.95884)],
        [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)],
    ),
}
D50 = (0.9642, 1.0, 0.8249)
GAMMA = 563 / 256


def linear(rgb):
    v = np.asarray(rgb) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def fixed(*values):
    return b"".join(struct.pack(">i", round(65536 * value)) for value in values)


def icc(space, tags, pcs=b"XYZ ", kind=b"mntr"):
    """A profile of version 2 with these tags."""
    table, data = b"", b""
    for name, value in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    size = 132 + len(table) + len(data)
    head = struct.pack(">I4sI", size, b"test", 0x02100000) + kind + space + pcs + bytes(12)
    head += b"acsp" + bytes(28) + fixed(*D50) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + data


def curve(gamma):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * gamma))


def xyz(values):
    return b"XYZ " + bytes(4) + fixed(*values)


def rgb_profile(colorants):
    tags = {b"wtpt": xyz(D50)}
    for letter, values in zip((b"r", b"g", b"b"), colorants, strict=True):
        tags |= {letter + b"XYZ": xyz(values), letter + b"TRC": curve(GAMMA)}
    return icc(b"RGB ", tags)


def cmyk_profile(corners):
    """Each corner of inks has the colour that `corners` gives for it, in 8-bit Lab."""
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    straight = bytes(range(256))
    return icc(b"CMYK", {b"A2B0": table + 4 * straight + corners + 3 * straight}, b"Lab ", b"prtr")


def read(tmp_path, image, kind="png", **options):
    """What a picture that is saved so is read as."""
    path = tmp_path / f"face.{kind}"
    if not isinstance(image, bytes):
        if kind == "jpg":
            options = {"quality": 100, "subsampling": 0, **options}
        image.save(path, **options)
    else:
        path.write_bytes(image)
    return read_picture(path)


def patches(colours, mode="RGB"):
    """A picture of 16 x 16 pixels of each colour in a row."""
    rows = np.repeat(np.repeat(np.array([colours], np.uint8), 16, 0), 16, 1)
    return Image.fromarray(rows, mode if mode == "CMYK" else None)


def seen(picture, count):
    return np.array([picture[8, 8 + 16 * i] for i in range(count)])


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("gamut", GAMUTS)
def test_wide_gamuts_are_converted(tmp_path, capsys, kind, gamut):
    matrix, colorants = GAMUTS[gamut]
    coded = [np.rint(255 * (np.array(matrix) @ linear(rgb)) ** (1 / GAMMA)) for rgb in COLOURS]
    picture = read(tmp_path, patches(coded), kind, icc_profile=rgb_profile(colorants))
    np.testing.assert_allclose(seen(picture, len(COLOURS)), COLOURS, atol=4)
    assert not capsys.readouterr().out


def test_exif_names_adobe_rgb_where_no_profile_does(tmp_path):
    matrix, _ = GAMUTS["Adobe RGB"]
    coded = [np.rint(255 * (np.array(matrix) @ linear(rgb)) ** (1 / GAMMA)) for rgb in COLOURS]
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {ExifTags.IFD.Interop: {1: "R03"}}
    found = read(tmp_path, patches(coded), "jpg", exif=exif)
    np.testing.assert_allclose(seen(found, len(COLOURS)), COLOURS, atol=4)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = read(tmp_path, patches(COLOURS), "jpg", exif=exif, icc_profile=profile)
    np.testing.assert_allclose(seen(found, len(COLOURS)), COLOURS, atol=4)


def test_colours_under_transparency_and_of_palettes_are_converted(tmp_path):
    matrix, colorants = GAMUTS["Adobe RGB"]
    coded = [np.rint(255 * (np.array(matrix) @ linear(rgb)) ** (1 / GAMMA)) for rgb in COLOURS]
    profile = rgb_profile(colorants)
    image = patches(coded)
    image.putalpha(128)
    wanted = 255 - (255 - np.array(COLOURS)) * 128 / 255
    found = read(tmp_path, image, icc_profile=profile)
    np.testing.assert_allclose(seen(found, len(COLOURS)), wanted, atol=4)
    palette = patches(coded).quantize(len(COLOURS))
    found = read(tmp_path, palette, icc_profile=profile)
    np.testing.assert_allclose(seen(found, len(COLOURS)), COLOURS, atol=4)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_grey_of_another_curve_is_converted(tmp_path, kind):
    """Grey of 100 under a curve of 1.5 is (100 / 255) ** 1.5 of white's light."""
    profile = icc(b"GRAY", {b"wtpt": xyz(D50), b"kTRC": curve(1.5)})
    image = Image.fromarray(np.full((16, 16), 100, np.uint8))
    light = (100 / 255) ** 1.5
    grey = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
    found = read(tmp_path, image, kind, icc_profile=profile)
    np.testing.assert_allclose(found[8, 8], [grey] * 3, atol=4)


def test_inks_are_converted(tmp_path):
    """A profile gives cyan, and magenta with yellow, colours that inks do not have without it."""
    inks = [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255)]
    known = {0: (255, 255, 255), 8: (60, 140, 190), 6: SKIN}  # the first ink changes slowest
    corners = [known.get(i, (0, 0, 0) if i % 2 else (128, 128, 128)) for i in range(16)]
    lab = ImageCms.createProfile("LAB")
    coded: Image.Image = ImageCms.profileToProfile(
        Image.fromarray(np.array([corners], np.uint8)),
        ImageCms.createProfile("sRGB"),
        lab,
        outputMode="LAB",
    )
    # Pillow keeps a and b as signed bytes, a profile counts them from 128.
    table = (np.asarray(coded) + np.array((0, 128, 128), np.uint8)).tobytes()
    found = read(tmp_path, patches(inks, "CMYK"), "jpg", icc_profile=cmyk_profile(table))
    wanted = [known[0], known[8], known[6], (0, 0, 0)]
    np.testing.assert_allclose(seen(found, 4), wanted, atol=4)


@pytest.mark.parametrize(
    "profile",
    [b"no profile", rgb_profile(GAMUTS["P3"][1])[:200], icc(b"GRAY", {}), icc(b"RGB ", {})],
)
@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_profile_that_does_not_fit_is_ignored_and_told_of(tmp_path, capsys, profile, kind):
    found = read(tmp_path, patches(COLOURS), kind, icc_profile=profile)
    np.testing.assert_allclose(seen(found, len(COLOURS)), COLOURS, atol=2)
    said = f"{tmp_path}/face.{kind}: its colour profile cannot be used and is ignored.\n"
    assert capsys.readouterr().out == said


def test_the_profile_of_srgb_changes_nothing(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = read(tmp_path, image, icc_profile=profile)
    np.testing.assert_array_equal(found, np.asarray(image))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(samples, kind, clear=None):
    """A PNG of 16-bit samples (rows, cols, channels)."""
    rows, cols = samples.shape[:2]
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    data = chunk(b"IHDR", struct.pack(">IIBBBBB", cols, rows, 16, kind, 0, 0, 0))
    data += chunk(b"tRNS", clear) if clear else b""
    data += chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def deep(colour, alpha):
    """Clear in its upper half, opaque in its lower one, 257 times 8 bits."""
    samples = np.full((32, 32, len(colour) + bool(alpha)), 257 * 7)
    samples[:16, :, -1] = 0 if alpha else 257 * 7
    samples[16:] = [257 * value for value in (*colour, *([255] if alpha else []))]
    return samples


def cleared(mode):
    """Black that is clear over a half of a colour, in one of Pillow's modes."""
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((*SKIN, 255), (0, 16, 32, 32))
    return image if mode == "RGBA" else image.convert(mode)


GREY = round(0.299 * SKIN[0] + 0.587 * SKIN[1] + 0.114 * SKIN[2])


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (cleared("RGBA"), SKIN),
        (cleared("LA"), (GREY,) * 3),
        (cleared("RGBA").quantize(4), SKIN),
        (png(deep(SKIN, True), 6), SKIN),
        (png(deep((90,), True), 4), (90,) * 3),
        (png(deep(SKIN, False), 2, struct.pack(">HHH", *[257 * 7] * 3)), SKIN),
        (png(deep((90,), False), 0, struct.pack(">H", 257 * 7)), (90,) * 3),
    ],
)
def test_transparent_parts_are_white_and_told_of(tmp_path, capsys, image, colour):
    found = read(tmp_path, image)
    np.testing.assert_allclose(found[:15], 255)
    np.testing.assert_allclose(found[17:], np.broadcast_to(colour, (15, 32, 3)), atol=2)
    said = f"{tmp_path}/face.png: its transparent parts are shown over white.\n"
    assert capsys.readouterr().out == said


def test_opaque_pictures_with_alpha_and_of_16_bits_are_as_they_are(tmp_path, capsys):
    image = Image.new("RGBA", (16, 16), (*SKIN, 255))
    np.testing.assert_array_equal(read(tmp_path, image)[8, 8], SKIN)
    grey = np.full((16, 16, 1), 257 * 90)
    np.testing.assert_array_equal(read(tmp_path, png(grey, 0))[8, 8], [90] * 3)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("way", range(1, 9))
def test_exif_turns_a_picture_upright(tmp_path, kind, way):
    """Rows and columns begin where each value of the tag says (EXIF 2.32, 4.6.5)."""
    picture = np.full((32, 64, 3), 40, np.uint8)
    picture[:16, :32] = 220
    stored = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture),
        7: np.rot90(picture, 2).transpose(1, 0, 2),
        8: np.rot90(picture, -1),
    }[way]
    exif = Image.Exif()
    exif[0x0112] = way
    image = Image.fromarray(np.ascontiguousarray(stored))
    found = read(tmp_path, image, kind, exif=exif)
    np.testing.assert_allclose(found.astype(int), picture, atol=12)


def test_bytes_behind_a_picture_do_no_harm(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    whole = picture_bytes.encode_png(np.asarray(image))
    for more in (b"\0", bytes(999), struct.pack(">I", 2**31 - 1) + b"IDAT", whole, b"\xff" * 12):
        np.testing.assert_array_equal(read(tmp_path, whole + more), np.asarray(image))
        np.testing.assert_array_equal(picture_bytes.decode(whole + more), np.asarray(image))


@pytest.mark.parametrize("cut", [1, 4, 8, 12, 13, 500])
def test_a_png_that_is_cut_is_damaged(tmp_path, cut):
    whole = picture_bytes.encode_png(
        np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    )
    with pytest.raises(UserError, match="face.png: it is damaged"):
        read(tmp_path, whole[:-cut])
    with pytest.raises(UserError, match="it is damaged"):
        picture_bytes.decode(whole[:-cut])


@pytest.mark.parametrize("named", [0, 2**31 - 1, 5000])
def test_a_chunk_that_lies_is_damage(tmp_path, named):
    whole = picture_bytes.encode_png(
        np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    )
    place = whole.index(b"IDAT") - 4
    lying = whole[:place] + struct.pack(">I", named) + whole[place + 4 :]
    with pytest.raises(UserError, match="damaged|neither"):
        read(tmp_path, lying)


def test_pillow_says_nothing(tmp_path, capfd):
    """Damaged EXIF, a profile that is none, and more pixels than Pillow likes."""
    said = []
    image = Image.new("RGB", (64, 64), SKIN)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03\0\0\0\x01\0\x06"
    large = png(np.zeros((1, 1, 3)), 2)
    large = large[:16] + struct.pack(">II", 12_000, 8000) + large[24:]
    large = large[:29] + struct.pack(">I", zlib.crc32(large[12:29])) + large[33:]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda *told, **more: said.append(told)
        assert read(tmp_path, image, "jpg", exif=exif).shape == (64, 64, 3)
        info = PngImagePlugin.PngInfo()
        info.add(b"iCCP", b"name\0\0" + b"no data")
        assert read(tmp_path, image, pnginfo=info).shape == (64, 64, 3)
        with pytest.raises(UserError, match="it is 12000x8000, over 8192 pixels on a side"):
            read(tmp_path, large)
        with pytest.raises(UserError, match="12000x8000"):
            picture_bytes.decode(large)
    told = capfd.readouterr()
    assert not said and not told.err, (said, told.err)
