"""Metrics as pure functions: those of the paper's Table 1, of parts, flicker, sharpness and the
mouth's shape, and the correlation of signals.

Pictures are (batch, rows, cols, 3), as uint8 or as floats from 0 to 255. Metrics return one number
per picture. The paper's PSNR is the mean of these per-frame values, not the PSNR of the mean MSE.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt8

from lumiere_jax.shapes import AnyArray, Picture

Pictures = UInt8[AnyArray, "batch rows cols 3"] | Float[AnyArray, "batch rows cols 3"]
PerPicture = Float[AnyArray, " batch"]
Mask = Bool[AnyArray, "batch rows cols 1"]
Points = Float[AnyArray, "batch points 2"]
Signal = Float[AnyArray, " time"]
# CPBD's widths of an edge, in pixels, at which its blur is just noticed: up to a contrast of 50
# levels in its block, and above it.
JUST_NOTICEABLE = (5, 3)
CPBD_BLOCK = 64


def mse(a: Pictures, b: Pictures) -> PerPicture:
    """Computes the mean squared difference, 0 to 65025."""
    difference = jnp.asarray(a, jnp.float32) - jnp.asarray(b, jnp.float32)
    return jnp.mean(difference**2, axis=(1, 2, 3))


def psnr(a: Pictures, b: Pictures) -> PerPicture:
    """Computes the peak signal-to-noise ratio in dB; infinite for equal pictures."""
    return 10 * jnp.log10(255.0**2 / mse(a, b))


def masked_psnr(a: Pictures, b: Pictures, mask: Mask) -> PerPicture:
    """Computes `psnr` over the mask's pixels only; NaN where the mask is empty."""
    squares = (jnp.asarray(a, jnp.float32) - jnp.asarray(b, jnp.float32)) ** 2
    pixels = jnp.sum(mask, axis=(1, 2, 3), dtype=jnp.float32)
    error = jnp.sum(squares, axis=(1, 2, 3), where=mask) / (3 * pixels)
    return 10 * jnp.log10(255.0**2 / error)


def ssim(a: Pictures, b: Pictures) -> PerPicture:
    """Computes the structural similarity (Wang et al. 2004), at most 1.

    Pictures need 11 pixels or more a side. Windows are 11 x 11 Gaussians of σ 1.5, with population
    covariance, as in scikit-image's `gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=255`. The windows are two matrix products: as
    convolutions (dm_pix) they take eight times as long on a CPU.
    """
    a, b = (jnp.moveaxis(jnp.asarray(x, jnp.float32), -1, 1) for x in (a, b))
    rows, cols = (_gaussian_windows(n) for n in a.shape[2:])

    def mean(x: jax.Array) -> jax.Array:
        return jnp.einsum("ri,bcij,kj->bcrk", rows, x, cols, precision="highest")

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a**2) - mu_a**2, mean(b**2) - mu_b**2, mean(a * b) - mu_a * mu_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mu_a * mu_b + c1) / (mu_a**2 + mu_b**2 + c1)
    structure = (2 * cov + c2) / (var_a + var_b + c2)
    return jnp.mean(luminance * structure, axis=(1, 2, 3))


def _gaussian_windows(pixels: int, sigma: float = 1.5, radius: int = 5) -> np.ndarray:
    """Returns a matrix (pixels - 2 radius, pixels) whose rows weigh one window's pixels each."""
    g = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    windows = np.zeros((pixels - 2 * radius, pixels), np.float32)
    for i, row in enumerate(windows):
        row[i : i + len(g)] = g / g.sum()
    return windows


def flicker(made: Pictures, true: Pictures) -> Float[np.ndarray, " changes"]:
    """Computes how much more consecutive pictures change than the true ones do.

    The mean over pixels and channels of max(0, |y'_t - y'_{t-1}| - |y_t - y_{t-1}|), in 8-bit
    levels, 0 to 255; one number for each change. Frozen pictures have a flicker of 0.
    """
    made, true = np.asarray(made, np.float32), np.asarray(true, np.float32)
    excess = np.abs(np.diff(made, axis=0)) - np.abs(np.diff(true, axis=0))
    return np.mean(np.maximum(excess, 0), axis=(1, 2, 3))


def sharpness(picture: Picture) -> float:
    """Computes CPBD: the share of edges, 0 to 1, with unnoticed blur; 0 without any edge.

    Narvekar and Karam 2011, "A No-Reference Image Blur Metric Based on the Cumulative Probability
    of Blur Detection". An edge's width w is the length of the monotone run through it along its
    row. Vertical edges count, in blocks where more than 0.2% of the pixels are edges. Blur is
    noticed with probability 1 - exp(-(w / w_JNB)^3.6). Edges with at most 63% count as sharp, which
    means w <= w_JNB. Edges are thinned Sobel responses; the authors choose blocks by Canny's
    instead. Blocks at the right and at the bottom may be smaller than 64 pixels.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = _edges(grey)
    slopes: Any = np.gradient(grey)
    down, right = (slope[1:-1, 1:-1] for slope in slopes)
    # Gradients at most 22.5 degrees from the row.
    vertical = np.abs(down) <= np.tan(np.pi / 8) * np.abs(right)
    widths = np.where(right >= 0, _rising_widths(grey), _rising_widths(-grey))
    widths = np.pad(np.where(vertical & edges[1:-1, 1:-1], widths, 0), 1)
    total = sharp = 0
    for row in range(0, len(grey), CPBD_BLOCK):
        for col in range(0, grey.shape[1], CPBD_BLOCK):
            block = np.s_[row : row + CPBD_BLOCK, col : col + CPBD_BLOCK]
            if edges[block].mean() > 0.002:
                found = widths[block][widths[block] > 0]
                total += len(found)
                sharp += int((found <= JUST_NOTICEABLE[int(np.ptp(grey[block]) > 50)]).sum())
    return sharp / total if total else 0.0


def _edges(grey: np.ndarray) -> np.ndarray:
    """Returns a mask of thinned vertical edges, as Octave's `edge` finds them.

    An edge's squared slope along the row exceeds both neighbours' in the row or in the column. It
    also exceeds twice the root mean square of the slope.
    """
    slope = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
    strength = slope**2
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    padded = np.pad(strength, 1)
    in_row = (strength > padded[1:-1, :-2]) & (strength > padded[1:-1, 2:])
    in_column = (strength > padded[:-2, 1:-1]) & (strength > padded[2:, 1:-1])
    return in_row | in_column


def _rising_widths(grey: np.ndarray) -> np.ndarray:
    """Returns the number of columns in the rising run through each inner pixel."""

    def run(x: np.ndarray) -> np.ndarray:
        """Counts the consecutive upward steps that end at each pixel of a row."""
        cols = np.arange(x.shape[1])[None]
        rising = np.pad(x[:, 1:] > x[:, :-1], ((0, 0), (1, 0)))
        return cols - np.maximum.accumulate(np.where(rising, 0, cols), axis=1)

    inner = grey[1:-1]
    return 2 + run(inner)[:, :-2] + run(-inner[:, ::-1])[:, ::-1][:, 2:]


def frequency_sharpness(picture: Picture) -> float:
    """Computes FDBM of the grey picture, 0 to 1.

    The share of frequencies whose magnitude is over a thousandth of the largest: De and Masilamani
    2013, "Image Sharpness Measure for Blurred Images in Frequency Domain".
    """
    magnitude = np.abs(np.fft.fft2(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)))
    return float(np.mean(magnitude > magnitude.max() / 1000))


def content_distances(
    still: Float[np.ndarray, " embedding"], frames: Float[np.ndarray, "frames embedding"]
) -> Float[np.ndarray, " frames"]:
    """Distances, 0 to 2, of frames' faces from a still's, by embeddings, as unit vectors.

    Their mean is the ACD (Tulyakov et al. 2018), which depends on the embedding network. Half the
    square is the cosine distance. NaN where an embedding is zero.
    """
    with np.errstate(invalid="ignore"):
        still, frames = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (still, frames))
    return np.linalg.norm(frames - still[None], axis=-1)


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Computes the word error rate of paired transcripts, ignoring case and punctuation.

    The sum of substituted, deleted and inserted words over the number of reference words.
    """
    # Imported here, so that synthesis starts without it.
    import jiwer

    words = jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.RemovePunctuation(),
            jiwer.RemoveWhiteSpace(replace_by_space=True),
            jiwer.RemoveMultipleSpaces(),
            jiwer.Strip(),
            jiwer.ReduceToListOfListOfWords(),
        ]
    )
    return float(jiwer.wer(list(references), list(hypotheses), words, words))


def landmark_distance(a: Points, b: Points) -> PerPicture:
    """Computes LMD (Chen et al. 2018): the mean distance of points, in the points' unit.

    Each set is centred on its own centroid first. NaN in a set gives NaN.
    """
    a, b = (np.asarray(x) - np.mean(x, axis=1, keepdims=True) for x in (a, b))
    return np.linalg.norm(a - b, axis=-1).mean(1)


def pearson(a: Signal, b: Signal) -> float:
    """Computes Pearson's correlation, -1 to 1; 0 where either signal is constant.

    Samples where either signal is NaN are ignored.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        return 0.0
    a, b = a[known], b[known]
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 1e-12 else 0.0


def peak_lag(a: Signal, b: Signal, max_lag: int) -> tuple[int, float]:
    """Finds the lag with the highest correlation, among |lag| <= max_lag.

    Args:
      a: Signal, longer than max_lag + 1.
      b: Signal of the same length.
      max_lag: Largest lag, in samples.

    Returns:
      The lag and its correlation. A positive lag means that `a` is late: a[t + lag] matches b[t].
      The smallest lag wins a tie.

    Raises:
      ValueError: the lengths differ, or are too short.
    """
    n = len(a)
    if len(b) != n or n < max_lag + 2:
        raise ValueError(f"signals of {n} and {len(b)} samples do not allow lags of {max_lag}")

    def correlation(lag: int) -> float:
        late, early = (a, b) if lag >= 0 else (b, a)
        return pearson(late[abs(lag) :], early[: n - abs(lag)])

    lags = sorted(range(-max_lag, max_lag + 1), key=abs)
    return max(((lag, correlation(lag)) for lag in lags), key=lambda pair: pair[1])
