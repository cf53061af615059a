"""Conversion of a frame of footage: its colours, its orientation, its square."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from jaxtyping import Shaped

from lumiere_jax.inputs.media.colours import to_sdr, wide_colours
from lumiere_jax.inputs.media.containers import Track
from lumiere_jax.shapes import Picture


@dataclass(frozen=True)
class Crop:
    """A square of the upright picture, in its pixels; x and y are its left and upper edge."""

    x: int
    y: int
    side: int


def squares(
    frame: av.VideoFrame, aspect: Fraction, sizes: Sequence[int], crop: Crop | None
) -> list[Picture]:
    """Crops an upright picture, by default to its centre square, and resizes it to each size.

    Raises:
        ValueError: the crop is not inside, or the picture's format cannot be converted.
    """
    picture = coded(frame, aspect)
    rows, cols = picture.shape[:2]
    if crop is None:
        side = min(rows, cols)
        crop = Crop((cols - side) // 2, (rows - side) // 2, side)
    region = picture[crop.y : crop.y + crop.side, crop.x : crop.x + crop.side]
    if region.shape[:2] != (crop.side, crop.side):
        raise ValueError(f"{cols}x{rows} pixels do not hold the crop")
    region = np.ascontiguousarray(region)
    ways = [cv2.INTER_AREA if crop.side > size else cv2.INTER_CUBIC for size in sizes]
    resized = [
        cv2.resize(region, (size, size), interpolation=way)
        for size, way in zip(sizes, ways, strict=True)
    ]
    # Converted last: fewer pixels cost less, and SDR too is resized in its coded form.
    colours = wide_colours(frame)
    return [to_sdr(picture, colours) for picture in resized] if colours else resized


def pixel_aspect(track: Track) -> Fraction:
    """Returns the width of a stored pixel over its height; encoders' rounding of 1 counts as 1."""
    aspect = Fraction(track.stream.sample_aspect_ratio or 1)
    return aspect if aspect > 0 and abs(aspect - 1) > Fraction(1, 50) else Fraction(1)


def upright(frame: av.VideoFrame, aspect: Fraction) -> Picture:
    """Converts a frame to what a player shows: RGB in SDR, square pixels, display matrix applied.

    Raises:
        ValueError: its format cannot be converted.
    """
    picture, colours = coded(frame, aspect), wide_colours(frame)
    return to_sdr(picture, colours) if colours else picture


def coded(frame: av.VideoFrame, aspect: Fraction) -> Shaped[np.ndarray, "_ _ 3"]:
    """Converts as `upright`, but leaves HDR and wide-gamut frames as they are coded, in 16 bits.

    Raises:
        ValueError: its format cannot be converted.
    """
    try:
        return _turned(frame, _stored(frame, aspect))
    except av.error.FFmpegError as error:
        raise ValueError(str(error)) from error


def _stored(frame: av.VideoFrame, aspect: Fraction) -> Shaped[np.ndarray, "_ _ 3"]:
    """Converts to RGB with square pixels, as stored (not yet turned)."""
    wide = wide_colours(frame)
    # Untagged footage follows the custom: high definition is BT.709, the rest BT.601.
    custom = Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
    if wide and wide.gamut == "BT.2020":
        custom = Colorspace.BT2020
    colorspace = {
        1: Colorspace.ITU709,
        4: Colorspace.FCC,
        5: Colorspace.ITU601,
        6: Colorspace.ITU601,
        7: Colorspace.SMPTE240M,
        9: Colorspace.BT2020,
        10: Colorspace.BT2020,
    }.get(int(frame.colorspace), custom)
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return frame.reformat(
        width=round(frame.width * aspect),
        format="rgb48le" if wide else "rgb24",
        src_colorspace=colorspace,
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BICUBIC,
    ).to_ndarray()


def _turned(
    frame: av.VideoFrame, picture: Shaped[np.ndarray, "_ _ 3"]
) -> Shaped[np.ndarray, "_ _ 3"]:
    """Applies the display matrix (a phone held on its side): quarter turns and mirrors."""
    if "DISPLAYMATRIX" not in frame.side_data:
        return picture
    a, b, _, c, d = np.frombuffer(frame.side_data["DISPLAYMATRIX"], np.int32)[:5].tolist()
    across, down = a, d
    if abs(b) > abs(a):  # x' = c y and y' = b x
        picture, across, down = picture.transpose(1, 0, 2), c, b
    return picture[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
