"""Metrics as pure functions: the paper's Table 1, what it does not see (parts, flicker, sharpness,
the mouth's shape), and how two signals move together.

Pictures are (batch, rows, cols, 3) in the uint8 range, as uint8 or as floats from 0 to 255; one
number per picture comes back. The paper's PSNR is the mean of these per-frame values, which is
not the PSNR of the mean MSE.
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
    """Mean squared difference, 0 to 65025."""
    difference = jnp.asarray(a, jnp.float32) - jnp.asarray(b, jnp.float32)
    return jnp.mean(difference**2, axis=(1, 2, 3))


def psnr(a: Pictures, b: Pictures) -> PerPicture:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures."""
    return 10 * jnp.log10(255.0**2 / mse(a, b))


def masked_psnr(a: Pictures, b: Pictures, mask: Mask) -> PerPicture:
    """`psnr` of the pixels inside of the mask alone; NaN where the mask is empty."""
    squares = (jnp.asarray(a, jnp.float32) - jnp.asarray(b, jnp.float32)) ** 2
    pixels = jnp.sum(mask, axis=(1, 2, 3), dtype=jnp.float32)
    error = jnp.sum(squares, axis=(1, 2, 3), where=mask) / (3 * pixels)
    return 10 * jnp.log10(255.0**2 / error)


def ssim(a: Pictures, b: Pictures) -> PerPicture:
    """Structural similarity (Wang et al. 2004), at most 1; pictures of 11 pixels or more a side.

    11 x 11 Gaussian windows of σ 1.5 and population covariance, as in scikit-image's
    `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255`. The windows
    are two matrix products: as convolutions (dm_pix) they take eight times as long on a CPU.
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
    """(pixels - 2 radius, pixels): each row weighs one window's pixels."""
    g = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    windows = np.zeros((pixels - 2 * radius, pixels), np.float32)
    for i, row in enumerate(windows):
        row[i : i + len(g)] = g / g.sum()
    return windows


def flicker(made: Pictures, true: Pictures) -> Float[np.ndarray, " changes"]:
    """How much more each picture changes from the one before than the true one does.

    The mean over pixels and channels of max(0, |y'_t - y'_{t-1}| - |y_t - y_{t-1}|), in 8-bit
    levels, 0 to 255; pictures are neighbours in time, and one number fewer comes back. Pictures
    that stand still have none: frozen is not flickering.
    """
    made, true = np.asarray(made, np.float32), np.asarray(true, np.float32)
    excess = np.abs(np.diff(made, axis=0)) - np.abs(np.diff(true, axis=0))
    return np.mean(np.maximum(excess, 0), axis=(1, 2, 3))


def sharpness(picture: Picture) -> float:
    """CPBD: the share of edges, 0 to 1, whose blur is not noticed; 0 without any edge.

    Narvekar and Karam 2011, "A No-Reference Image Blur Metric Based on the Cumulative Probability
    of Blur Detection". An edge's width w is that of the monotone run through it along its row;
    vertical edges count, in blocks in which more than 0.2% of the pixels are edges. Blur is
    noticed with the probability 1 - exp(-(w / w_JNB)^3.6), and those of at most 63% count: just
    those of w <= w_JNB. Edges are thinned Sobel responses, for the choice of blocks too, where the
    authors take Canny's. Blocks at the right and at the bottom may be smaller than 64 pixels.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = _edges(grey)
    slopes: Any = np.gradient(grey)
    down, right = (slope[1:-1, 1:-1] for slope in slopes)
    # Gradients of up to 22.5 degrees from the row.
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
    """Where the slope along the rows is larger than at both neighbours in the row or in the column
    and strong: its square is over twice its root mean square, as in Octave's `edge`."""
    slope = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
    strength = slope**2
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    padded = np.pad(strength, 1)
    in_row = (strength > padded[1:-1, :-2]) & (strength > padded[1:-1, 2:])
    in_column = (strength > padded[:-2, 1:-1]) & (strength > padded[2:, 1:-1])
    return in_row | in_column


def _rising_widths(grey: np.ndarray) -> np.ndarray:
    """Columns in the rising run through each inner pixel, which itself always belongs to it."""

    def run(x: np.ndarray) -> np.ndarray:
        """Steps upwards without a break that end at each pixel of a row."""
        cols = np.arange(x.shape[1])[None]
        rising = np.pad(x[:, 1:] > x[:, :-1], ((0, 0), (1, 0)))
        return cols - np.maximum.accumulate(np.where(rising, 0, cols), axis=1)

    inner = grey[1:-1]
    return 2 + run(inner)[:, :-2] + run(-inner[:, ::-1])[:, ::-1][:, 2:]


def frequency_sharpness(picture: Picture) -> float:
    """FDBM: the share of frequencies, 0 to 1, whose magnitude is over a thousandth of the largest.

    De and Masilamani 2013, "Image Sharpness Measure for Blurred Images in Frequency Domain"; of the
    grey picture.
    """
    magnitude = np.abs(np.fft.fft2(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)))
    return float(np.mean(magnitude > magnitude.max() / 1000))


def content_distances(
    still: Float[np.ndarray, " embedding"], frames: Float[np.ndarray, "frames embedding"]
) -> Float[np.ndarray, " frames"]:
    """Distances, 0 to 2, of frames' faces from a still's, by embeddings, as unit vectors.

    Their mean is the ACD (Tulyakov et al. 2018), whose magnitude is the embedding network's; half
    of a square is the cosine distance. NaN where an embedding is zero.
    """
    with np.errstate(invalid="ignore"):
        still, frames = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (still, frames))
    return np.linalg.norm(frames - still[None], axis=-1)


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """WER of transcripts, one each: substituted, left out and added words over those that were
    said, without regard to case and punctuation."""
    # Synthesis, which reads no transcripts, would load it at each start.
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
    """LMD (Chen et al. 2018): the mean distance of points, each set around its own centroid.

    In the points' unit; where a set lies does not count, and NaN in a set gives NaN.
    """
    a, b = (np.asarray(x) - np.mean(x, axis=1, keepdims=True) for x in (a, b))
    return np.linalg.norm(a - b, axis=-1).mean(1)


def pearson(a: Signal, b: Signal) -> float:
    """Correlation, -1 to 1; 0 where one of the two never changes, since it follows nothing.

    Moments at which one of them is NaN are left out.
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
    """The lag of |lag| <= max_lag with the highest correlation, and that correlation.

    Positive: `a` is late, a[t + lag] goes with b[t]. The smallest lag wins a tie. Signals of the
    same length, longer than max_lag + 1.
    """
    n = len(a)
    if len(b) != n or n < max_lag + 2:
        raise ValueError(f"signals of {n} and {len(b)} samples do not allow lags of {max_lag}")

    def correlation(lag: int) -> float:
        late, early = (a, b) if lag >= 0 else (b, a)
        return pearson(late[abs(lag) :], early[: n - abs(lag)])

    lags = sorted(range(-max_lag, max_lag + 1), key=abs)
    return max(((lag, correlation(lag)) for lag in lags), key=lambda pair: pair[1])
