"""Metrics as pure functions: what the paper's Table 1 reports, and how two signals move together.

Pictures are (batch, rows, cols, 3) in the uint8 range, as uint8 or as floats from 0 to 255; one
number per picture comes back. The paper's PSNR is the mean of these per-frame values, which is
not the PSNR of the mean MSE.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from lumiere_jax.shapes import AnyArray

Pictures = UInt8[AnyArray, "batch rows cols 3"] | Float[AnyArray, "batch rows cols 3"]
PerPicture = Float[AnyArray, "batch"]
Signal = Float[AnyArray, "time"]


def mse(a: Pictures, b: Pictures) -> PerPicture:
    """Mean squared difference, 0 to 65025."""
    difference = jnp.asarray(a, jnp.float32) - jnp.asarray(b, jnp.float32)
    return jnp.mean(difference**2, axis=(1, 2, 3))


def psnr(a: Pictures, b: Pictures) -> PerPicture:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures."""
    return 10 * jnp.log10(255.0**2 / mse(a, b))


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


def pearson(a: Signal, b: Signal) -> float:
    """Correlation, -1 to 1; 0 where one of the two never changes, since it follows nothing."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
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
