"""A photograph as a viewer shows it: upright, in sRGB, over white."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps

from lumiere_jax.inputs.media.colours import Colours, to_sdr
from lumiere_jax.inputs.media.picture_bytes import check_header, quiet_pillow
from lumiere_jax.shapes import Picture

# Colour mode by the space of a profile, and the colour modes that fit an image's (others: RGB).
MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
FITTING = {"CMYK": ("CMYK",), "1": ("L", "RGB"), "L": ("L", "RGB"), "LA": ("L", "RGB")}


def decode_photograph(data: bytes, say: Callable[[str], None]) -> Picture:
    """Decodes PNG or JPEG bytes to RGB.

    Args:
        say: Called with a clause about transparent parts, or about a broken profile.

    Raises:
        ValueError: they are neither, damaged, or a picture over 8192 pixels on a side.
    """
    check_header(data)
    depth = data[24] if data.startswith(b"\x89PNG") else 8
    try:
        with quiet_pillow(), Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as file:
            image = _of_8_bits(_upright(file), depth)
            alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
            colours = _in_srgb(image, _is_adobe_rgb(file), say)
    except Exception as error:  # Pillow raises errors of many kinds for damaged files
        raise ValueError("it is damaged") from error
    if alpha is None or alpha.getextrema()[0] == 255:
        return np.asarray(colours)
    say("its transparent parts are shown over white")
    white = Image.new("RGB", colours.size, "white")
    return np.asarray(Image.composite(colours, white, alpha))


def _upright(image: Image.Image) -> Image.Image:
    """Turns an image as its EXIF says; leaves it as it is where that cannot be read."""
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # as above
        return image


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Returns whether the EXIF says Adobe RGB (DCF 2.0); cameras may then embed no profile."""
    try:
        return image.getexif().get_ifd(ExifTags.IFD.Interop).get(1) == "R03"
    except Exception:  # as above
        return False


def _of_8_bits(image: Image.Image, depth: int) -> Image.Image:
    """Reduces 16-bit grey to 8 bits, and scales the transparent colour like the pixels."""
    if image.mode == "I;16":
        info, image = image.info, Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        image.info = info
    clear = image.info.get("transparency")
    if image.mode in ("L", "RGB") and clear is not None:
        eight = np.asarray(clear) >> 8 if depth == 16 else np.asarray(clear) * 255 // (2**depth - 1)
        image.info["transparency"] = eight.item() if image.mode == "L" else tuple(eight.tolist())
    return image


def _in_srgb(image: Image.Image, adobe_rgb: bool, say: Callable[[str], None]) -> Image.Image:
    """Converts to RGB without alpha, from the image's colour profile where it has one."""
    if embedded := image.info.get("icc_profile"):
        try:
            profile: Any = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
            mode = MODES[profile.profile.xcolor_space]
            if mode not in FITTING.get(image.mode, ("RGB",)):
                raise ValueError("it is for other colours than the image has")
            srgb = ImageCms.createProfile("sRGB")
            own = image.convert(mode)
            return ImageCms.profileToProfile(own, profile, srgb, outputMode="RGB") or own
        except (ImageCms.PyCMSError, OSError, ValueError, KeyError):
            say("its colour profile cannot be used and is ignored")
    rgb = image.convert("RGB")
    if adobe_rgb and image.mode == "RGB" and not embedded:
        sixteen = np.asarray(rgb, np.uint16) * 257
        return Image.fromarray(to_sdr(sixteen, Colours("", "Adobe RGB")))
    return rgb
