"""Metrics against scikit-image and known answers."""

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lumiere_jax.measures import metrics


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


def test_psnr_of_a_mask_is_that_of_the_cut_out_picture_and_nan_where_it_is_empty(pictures):
    a, b = pictures
    mask = np.zeros((3, 48, 40, 1), bool)
    mask[:2, 10:30, 5:25] = True
    found = np.asarray(metrics.masked_psnr(a, b, mask))
    expected = metrics.psnr(a[:, 10:30, 5:25], b[:, 10:30, 5:25])
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-5)
    assert np.isnan(found[2])
    np.testing.assert_allclose(metrics.masked_psnr(a, b, mask | True), metrics.psnr(a, b), 1e-5)


def test_flicker_is_the_change_that_the_true_pictures_have_not():
    true = np.random.default_rng(0).integers(20, 200, (4, 16, 16, 3), dtype=np.uint8)
    still = np.repeat(true[:1], 4, 0)
    np.testing.assert_array_equal(metrics.flicker(true, true), 0)
    np.testing.assert_array_equal(metrics.flicker(still, true), 0)
    # ±4 around a still picture changes by 8 from one to the next, also where uint8 would wrap.
    signs = np.array([1, -1, 1, -1])[:, None, None, None]
    np.testing.assert_array_equal(metrics.flicker(still + 4.0 * signs, still), 8)
    half = still.astype(float)
    half[:, :8] += 4.0 * signs
    np.testing.assert_array_equal(metrics.flicker(half, still), 4)
    # What the true pictures change by is free, in either direction.
    np.testing.assert_array_equal(metrics.flicker(still - 4.0 * signs, still + 3.0 * signs), 2)


def bars(blur):
    """Stripes that grow wider downwards, on a gentle slope, blurred with a σ in pixels."""
    picture = np.zeros((128, 128, 3), np.uint8)
    for row in range(0, 128, 2):
        stripes = 40 + 160 * ((np.arange(128) // (4 + row // 4)) % 2)
        picture[row : row + 2] = (stripes + np.arange(128) // 8)[None, :, None]
    return cv2.GaussianBlur(picture, (0, 0), blur) if blur else picture


def test_sharpness_falls_with_blur_as_in_the_package_cpbd():
    found = [metrics.sharpness(bars(blur)) for blur in (0, 0.5, 0.8, 1, 2)]
    assert found == sorted(found, reverse=True)
    # What cpbd 1.0.7, a port of the authors' program, says of the same pictures.
    golden = [1, 0.8394736842105263, 0.04489164086687306, 0.023319615912208505, 0]
    np.testing.assert_allclose(found, golden, atol=1e-12)
    assert metrics.sharpness(np.full((64, 64, 3), 99, np.uint8)) == 0


@pytest.mark.parametrize(
    "contrast, width, counts", [(40, 5, 1), (40, 6, 0), (60, 3, 1), (60, 4, 0)]
)
def test_a_narrower_edge_is_noticed_where_contrast_is_high(contrast, width, counts):
    """A ramp of w pixels between two levels; the run through it is as wide as that."""
    ramp = 100 + contrast * np.clip((np.arange(64) - 30) / (width - 1), 0, 1)
    # The slope is largest in the middle, so that thinning leaves a line.
    middle = (np.arange(64) - 30 - (width - 1) / 2) / (width - 1)
    ramp += 3 * np.sin(2 * np.pi * np.clip(middle, -0.5, 0.5))
    picture = np.repeat(np.repeat(np.round(ramp)[None, :, None], 64, 0), 3, 2).astype(np.uint8)
    assert metrics.sharpness(picture) == counts


def test_only_edges_across_the_rows_have_a_width():
    assert metrics.sharpness(bars(0)) > 0
    assert metrics.sharpness(np.ascontiguousarray(bars(0)[:, :1].repeat(128, 1))) == 0


def test_landmark_distance_looks_at_shape_and_not_at_place():
    points = np.random.default_rng(0).normal(50, 10, (3, 20, 2))
    moved = points + np.array([[[3, -4]], [[0, 9]], [[1, 1]]])
    np.testing.assert_allclose(metrics.landmark_distance(moved, points), 0, atol=1e-12)
    # A square, larger by a factor of 1.5: every corner is 0.5 radii from where it was.
    square = np.array([[[2, 0], [0, 2], [-2, 0], [0, -2]]], float)
    np.testing.assert_allclose(metrics.landmark_distance(1.5 * square, square), 1)
    points[1, 0] = np.nan
    np.testing.assert_array_equal(
        np.isnan(metrics.landmark_distance(points, moved)), [False, True, False]
    )


def test_pearson():
    a = np.random.default_rng(0).normal(size=50)
    assert metrics.pearson(a, 3 * a + 5) == pytest.approx(1)
    assert metrics.pearson(a, -a) == pytest.approx(-1)
    b = np.random.default_rng(1).normal(size=50)
    assert metrics.pearson(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert metrics.pearson(a, np.ones(50)) == 0
    gaps = np.where(np.arange(50) % 7, b, np.nan)
    known = np.isfinite(gaps)
    assert metrics.pearson(a, gaps) == pytest.approx(np.corrcoef(a[known], b[known])[0, 1])
    assert metrics.pearson(a, np.full(50, np.nan)) == 0


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


def banded(rows: int, cols: int, contrast: int, seed: int) -> np.ndarray:
    """Random cells of 8 x 16 pixels, blurred along the rows by 1 to 7 pixels from band to band."""
    cells = np.random.default_rng(seed).integers(0, contrast, (rows // 8, cols // 16))
    cells = cells.repeat(8, 0).repeat(16, 1)
    picture = np.empty((rows, cols), np.uint8)
    for row in range(rows):
        width = 1 + row // 8 % 7
        wide = np.pad(cells[row], (width // 2, width - 1 - width // 2), mode="edge")
        picture[row] = np.lib.stride_tricks.sliding_window_view(wide, width).sum(-1) // width
    return np.repeat(picture[..., None], 3, axis=-1)


def test_frequency_sharpness_is_the_share_of_frequencies_over_a_thousandth_of_the_largest():
    grey = banded(32, 48, 250, 5)[..., 0].astype(np.complex128)
    # The definition, frequency by frequency, without a Fourier transform of a library's.
    rows, cols = (np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) for n in (32, 48))
    magnitude = np.abs(rows @ grey @ cols)
    expected = (magnitude > magnitude.max() / 1000).mean()
    assert 0.1 < expected < 0.9
    found = metrics.frequency_sharpness(banded(32, 48, 250, 5))
    assert found == pytest.approx(expected, abs=2 / grey.size)
    flat = np.full((64, 64, 3), 99, np.uint8)
    assert metrics.frequency_sharpness(flat) == 1 / 64**2
    blurred = cv2.GaussianBlur(banded(32, 48, 250, 5), (0, 0), 1.5)
    assert metrics.frequency_sharpness(blurred) < found


def test_frequency_sharpness_is_that_of_a_published_program():
    """vaugus/kanjar-nr-iqa, commit bbbd48d, says these numbers of the same grey pictures."""
    for shape, expected in (
        ((128, 96, 200, 3), 0.22892252604166666),
        ((128, 96, 40, 4), 0.20182291666666666),
        ((256, 192, 250, 6), 0.11720784505208333),
    ):
        assert metrics.frequency_sharpness(banded(*shape)) == pytest.approx(expected, abs=1e-9)


def test_distances_of_contents_are_of_directions_alone():
    still = np.array([3.0, 0.0])
    frames = np.array([[5.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    np.testing.assert_allclose(metrics.content_distances(still, frames), [0, np.sqrt(2), 2])
    assert np.isnan(metrics.content_distances(still, 0 * frames)).all()


def test_word_error_rate_counts_words_whatever_their_case():
    said = ["bin blue at f two now", "lay red with p nine again"]
    assert metrics.word_error_rate(said, [text.upper() + "." for text in said]) == 0
    assert metrics.word_error_rate(said, [text.replace(" ", "\t") for text in said]) == 0
    read = ["bin blue at f two", "lay red by p nine again please"]  # one each of three kinds
    assert metrics.word_error_rate(said, read) == pytest.approx(3 / 12)
