"""Conversion of HDR and wide-gamut pictures to SDR in BT.709, after ITU-R BT.2100 and BT.2408.

SDR white is HDR's reference white, 203 cd/m². Brighter light is compressed, and colours outside
BT.709 are clipped. SDR is coded by the curve of sRGB.
"""

import functools
from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc
from jaxtyping import Float, UInt8, UInt16

HDR: dict[int, str] = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
GAMUTS: dict[int, str] = {ColorPrimaries.BT2020: "BT.2020", ColorPrimaries.SMPTE432: "P3"}
# x and y of red, green and blue, and of their common white.
CHROMATICITIES = {
    "BT.709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "BT.2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "Adobe RGB": ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)),
}
D65 = (0.3127, 0.3290)
# HDR's reference white and the peak of an HLG display, in cd/m².
WHITE, HLG_PEAK = 203.0, 1000.0
# The tone curve begins to flatten at KNEE and clips at BRIGHTEST, in units of white.
KNEE, BRIGHTEST = 0.9, 5.0
CODES = 2**16
# Rows converted at a time, so that the floats of a large picture need little memory.
STRIP = 128


@dataclass(frozen=True)
class Colours:
    """How a picture is coded: "PQ" or "HLG" ("" for SDR), and the name of its gamut."""

    hdr: str
    gamut: str

    @property
    def treatment(self) -> str:
        """How such footage is converted, for the user."""
        if self.hdr:
            return f"{self.hdr} (HDR) footage: tone-mapped to SDR"
        return f"{self.gamut} (wide gamut) footage: converted to BT.709"


def wide_colours(frame: av.VideoFrame) -> Colours | None:
    """Returns the colours of an HDR or wide-gamut frame; None for ordinary SDR."""
    hdr = HDR.get(frame.color_trc, "")
    # HDR without named primaries has those of BT.2100, which are BT.2020's.
    unnamed = hdr and frame.color_primaries in (0, ColorPrimaries.UNSPECIFIED)
    gamut = "BT.2020" if unnamed else GAMUTS.get(frame.color_primaries, "BT.709")
    return Colours(hdr, gamut) if hdr or gamut != "BT.709" else None


def to_sdr(
    picture: UInt16[np.ndarray, "rows cols 3"], colours: Colours
) -> UInt8[np.ndarray, "rows cols 3"]:
    """Converts full-range 16-bit RGB to 8-bit SDR."""
    sdr = np.empty(picture.shape, np.uint8)
    for top in range(0, len(picture), STRIP):
        light = _light(picture[top : top + STRIP], colours)
        light = cv2.transform(light, _matrix(colours.gamut))
        codes = np.clip(light * (CODES - 1) / BRIGHTEST + 0.5, 0, CODES - 1).astype(np.uint16)
        sdr[top : top + STRIP] = _encoding(bool(colours.hdr))[codes]
    return sdr


def _light(picture: np.ndarray, colours: Colours) -> Float[np.ndarray, "rows cols 3"]:
    """Decodes RGB to the linear light of a display, in units of SDR white."""
    light = _decoding(colours)[picture]
    if colours.hdr == "HLG":
        # The OOTF of BT.2100: the display's light from the scene's.
        luminance = cv2.transform(light, _to_xyz(colours.gamut)[1:2].astype(np.float32))
        light *= (HLG_PEAK / WHITE * luminance**0.2)[..., None]
    return light


@functools.cache
def _decoding(colours: Colours) -> Float[np.ndarray, " codes"]:
    """Returns linear light of 16-bit codes: the scene's in [0, 1] for HLG, else the display's."""
    v = np.arange(CODES) / (CODES - 1)
    if colours.hdr == "HLG":
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(v <= 0.5, v**2 / 3, (np.exp((v - c) / a) + b) / 12)
    elif colours.hdr == "PQ":
        m1, m2 = 2610 / 16384, 2523 / 32
        c1, c2, c3 = 107 / 128, 2413 / 128, 2392 / 128
        root = v ** (1 / m2)
        light = 10_000 / WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    elif colours.gamut == "Adobe RGB":
        light = v ** (563 / 256)
    else:
        light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@functools.cache
def _encoding(hdr: bool) -> UInt8[np.ndarray, " codes"]:
    """Returns the sRGB codes of linear light from 0 to BRIGHTEST; compresses HDR's highlights."""
    light = np.linspace(0, BRIGHTEST, CODES)
    if hdr:
        over, room = np.maximum(light - KNEE, 0), 1 - KNEE
        light = np.minimum(light, KNEE) + room * over / (over + room)
    light = np.minimum(light, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * coded).astype(np.uint8)


@functools.cache
def _matrix(gamut: str) -> Float[np.ndarray, "3 3"]:
    """Returns the matrix from linear RGB of a gamut to that of BT.709."""
    return np.linalg.solve(_to_xyz("BT.709"), _to_xyz(gamut)).astype(np.float32)


def _to_xyz(gamut: str) -> Float[np.ndarray, "3 3"]:
    """Returns the matrix from linear RGB of a gamut to XYZ."""
    *primaries, white = ((x / y, 1, (1 - x - y) / y) for x, y in (*CHROMATICITIES[gamut], D65))
    columns = np.array(primaries).T
    return columns * np.linalg.solve(columns, np.array(white))
