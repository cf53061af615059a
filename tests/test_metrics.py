"""Metrics against scikit-image and known answers."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lumiere_jax import metrics


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    smooth = np.linspace(0, 255, 48)[:, None, None] * np.linspace(0, 1, 40)[:, None]
    a = np.repeat(np.broadcast_to(smooth, (48, 40, 1)), 3, axis=-1)[None].repeat(3, axis=0)
    b = a + generator.normal(0, [[[[2]]], [[[20]]], [[[80]]]], a.shape)
    return a.astype(np.uint8), np.clip(b, 0, 255).astype(np.uint8)


def test_ssim_equals_scikit_image_to_1e_4(pictures):
    a, b = pictures
    expected = [
        structural_similarity(
            x,
            y,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        )
        for x, y in zip(a, b, strict=True)
    ]
    assert min(expected) < 0.3 < 0.9 < max(expected)
    np.testing.assert_allclose(metrics.ssim(a, b), expected, atol=1e-4)
    np.testing.assert_allclose(metrics.ssim(a, a), 1, atol=1e-6)


def test_psnr_equals_scikit_image_and_does_not_wrap_uint8(pictures):
    a, b = pictures
    expected = [peak_signal_noise_ratio(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(metrics.psnr(a, b), expected, rtol=1e-5)
    floats = a.astype(np.float32), b.astype(np.float32)
    np.testing.assert_allclose(metrics.psnr(*floats), expected, rtol=1e-5)
    black, white = np.zeros((1, 16, 16, 3), np.uint8), np.full((1, 16, 16, 3), 255, np.uint8)
    assert metrics.mse(black, white)[0] == pytest.approx(255**2, rel=1e-4)
    assert metrics.psnr(black, white)[0] == pytest.approx(0, abs=1e-4)
    assert metrics.psnr(black, black) == np.inf


def test_mean_of_psnr_is_not_psnr_of_mean(pictures):
    a, b = pictures
    of_mean = 10 * np.log10(255**2 / np.mean(metrics.mse(a, b)))
    assert np.mean(metrics.psnr(a, b)) > of_mean + 1


def test_pearson():
    a = np.random.default_rng(0).normal(size=50)
    assert metrics.pearson(a, 3 * a + 5) == pytest.approx(1)
    assert metrics.pearson(a, -a) == pytest.approx(-1)
    b = np.random.default_rng(1).normal(size=50)
    assert metrics.pearson(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert metrics.pearson(a, np.ones(50)) == 0


@pytest.mark.parametrize("delay", [-4, -1, 0, 3])
def test_peak_lag_is_positive_where_the_first_signal_is_late(delay):
    signal = np.random.default_rng(0).normal(size=120)
    late, original = (
        signal[10:110],
        signal[10 + delay : 110 + delay],
    )  # late[t + delay] = original[t]
    lag, correlation = metrics.peak_lag(late, original, 8)
    assert lag == delay
    assert correlation == pytest.approx(1)


def test_peak_lag_of_a_frozen_signal_is_zero_and_short_signals_are_refused():
    assert metrics.peak_lag(np.zeros(30), np.arange(30.0), 5) == (0, 0.0)
    with pytest.raises(ValueError, match="6 and 6"):
        metrics.peak_lag(np.arange(6.0), np.arange(6.0), 5)
