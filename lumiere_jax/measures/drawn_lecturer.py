"""Detectors for the drawn lecturer: mouth aperture and wrist positions, from pixels.

They work on drawn and on synthesised frames, of any drawn person and size, and on blurred ones.
They assume only the framing (a head near its drawn place, or an aligned face) and the colours of
the two wrist bands. Each frame is measured independently, so a video may come in pieces. Frames are
uint8 (time, rows, cols, 3).
"""

import numpy as np
from jaxtyping import Float, UInt8

Frames = UInt8[np.ndarray, "time rows cols 3"]
# Left, top, right and bottom of nose and cheeks, and of the mouth, as shares of the picture: in
# a lecturer's frame, and in an aligned face's.
_LECTURER = (0.42, 0.33, 0.58, 0.39), (0.425, 0.385, 0.575, 0.475)
_FACE = (0.32, 0.455, 0.68, 0.565), (0.33, 0.555, 0.67, 0.72)
_SMOOTHING = np.array([1.0, 2.0, 1.0]) / 4


def _window(frames: Frames, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    rows, cols = frames.shape[1:3]
    return frames[
        :, round(top * rows) : round(bottom * rows), round(left * cols) : round(right * cols)
    ].astype(np.float32)


def measure_aperture(frames: Frames, aligned: bool = False) -> Float[np.ndarray, " time"]:
    """Measures the mouth's opening, roughly proportional to its share of the picture's height.

    Sums over the mouth's pixels how much greyer (teeth, the dark) and darker they are than the skin
    of nose and cheeks. Lips are redder than skin and do not count.
    """
    skin, mouth = (_window(frames, *place) for place in (_FACE if aligned else _LECTURER))
    skin_warmth = np.median(skin[..., 0] - skin[..., 2], axis=(1, 2))[:, None, None]
    warmth = (mouth[..., 0] - mouth[..., 2]) / np.maximum(skin_warmth, 20)
    skin_green = np.median(skin[..., 1], axis=(1, 2))[:, None, None]
    lightness = mouth[..., 1] / (0.8 * np.maximum(skin_green, 40))
    inside = np.clip(0.9 - warmth, 0, 2) + np.clip(1 - lightness, 0, 1)
    return inside.mean((1, 2)) * (0.15 * 0.09 / 0.1)


def measure_wrists(frames: Frames) -> Float[np.ndarray, "time 2 2"]:
    """Locates the centres of the left and right wrist bands: x and y from 0 to 1.

    NaN where a band is hidden, or fainter than a tenth of its colour.
    """
    top = 0.55
    below = _window(frames, 0.0, top, 1.0, 1.0)
    red, green, blue = below[..., 0], below[..., 1], below[..., 2]
    rows, cols = below.shape[1:3]
    y = top + (1 - top) * (np.arange(rows, dtype=np.float32) + 0.5) / rows
    x = (np.arange(cols, dtype=np.float32) + 0.5) / cols
    wrists = np.full((len(frames), 2, 2), np.nan)
    for hand, excess in enumerate((green - np.maximum(red, blue), np.minimum(red, blue) - green)):
        weight = np.maximum(excess - 16, 0)
        for t, band in enumerate(weight):
            total = band.sum()
            if total < 0.01 * frames.shape[1] * frames.shape[2]:
                continue
            place = np.zeros(2)
            for _ in range(2):  # the second pass excludes specks elsewhere
                place = np.array([band.sum(0) @ x, band.sum(1) @ y]) / band.sum()
                near = (x[None] - place[0]) ** 2 + (y[:, None] - place[1]) ** 2 < 0.1**2
                band = band * near if (band * near).sum() > 0.5 * total else band
            wrists[t, hand] = place
    return wrists


def wrist_speeds(wrists: Float[np.ndarray, "time 2 2"]) -> Float[np.ndarray, "times 2"]:
    """Computes each wrist's speed, in picture sizes per frame; needs four frames or more.

    Positions are smoothed by (1, 2, 1) / 4 against the detector's noise, and gaps are interpolated
    linearly.
    """
    smooth = np.zeros((len(wrists) - 2, 2, 2))
    for hand in range(2):
        for axis in range(2):
            track = wrists[:, hand, axis]
            seen = np.flatnonzero(np.isfinite(track))
            if len(seen):
                track = np.interp(np.arange(len(track)), seen, track[seen])
                smooth[:, hand, axis] = np.convolve(track, _SMOOTHING, "valid")
    return np.linalg.norm(np.diff(smooth, axis=0), axis=-1)


def gesture_ratio(
    wrists: Float[np.ndarray, "time 2 2"], true: Float[np.ndarray, "time 2 2"]
) -> float:
    """Computes the variance of the wrists' speeds over that of the true ones.

    1 is as lively as the truth. 0 is a frozen body, or wrists that are never detected.
    """
    lively = wrist_speeds(true).var(axis=0).mean()
    return float(wrist_speeds(wrists).var(axis=0).mean() / max(lively, 1e-12))
