"""Summaries of per-frame values: the numbers of a report."""

from collections.abc import Sequence

import numpy as np

from lumiere_jax.measures import metrics
from lumiere_jax.measures.evaluation import Number, Values

# Equal pictures have an infinite PSNR, which neither a mean nor JSON can hold.
MOST_PSNR = 100.0
MAX_LAG = 10
# Fewest frames for a mouth's lag: at the largest lag, two thirds still overlap.
FEWEST = 3 * MAX_LAG


def summarise(parts: list[Values], stages: Sequence[str]) -> dict[str, dict[str, Number]]:
    """Summarises the values of all segments.

    Mouths are compared with the true apertures where these are known, else with those found in the
    real frames. Two checks bound that measure. One correlates the real frames with the truth, or
    with the footage at its full size; the other uses frames from shuffled sound.

    Args:
      parts: Per-frame values of each segment.
      stages: Stages to summarise.

    Returns:
      Numbers by stage and measure.
    """
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    truth = "true" if "aperture.true" in joined else "real"
    result: dict[str, dict[str, Number]] = {}
    for stage in stages:
        own = {name: x for name, x in joined.items() if name.startswith(f"{stage}.")}
        result[stage] = {**averages({name.split(".", 1)[1]: x for name, x in own.items()})}
        if f"aperture.{stage}" in joined:
            result[stage] |= mouth_motion(_apertures(parts, stage, truth))
            result[stage]["mouth_movement"] = mouth_movement(_apertures(parts, stage, "real"))
    reached = "true" if truth == "true" else "footage"
    for check, name, beside in (
        ("real_frames", "real", reached),
        ("shuffled_audio", "shuffled", truth),
    ):
        if f"aperture.{name}" in joined and f"aperture.{beside}" in joined:
            found = mouth_motion(_apertures(parts, name, beside))["mouth_correlation"]
            result["video"][f"mouth_correlation_{check}"] = found
    return result


def averages(values: Values) -> dict[str, Number]:
    """Averages each measure over the frames where it is not NaN; None without such frames.

    Landmark distances are None where fewer than half of the frames have them; `face_found` is the
    share of frames that do.
    """
    result: dict[str, Number] = {}
    for name, x in values.items():
        known = x[~np.isnan(x)]
        known = np.minimum(known, MOST_PSNR) if "psnr" in name else known
        enough = 2 * len(known) >= len(x) if name.endswith("landmark_distance") else len(known) > 0
        result[name] = float(known.mean()) if enough else None
    if "mouth_landmark_distance" in values:
        result["face_found"] = float(np.isfinite(values["mouth_landmark_distance"]).mean())
    return result


def _apertures(parts: list[Values], name: str, truth: str) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(part[f"aperture.{name}"], part[f"aperture.{truth}"]) for part in parts]


def mouth_motion(apertures: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Number]:
    """Computes a mouth's correlation with the true one, and its lag.

    Args:
      apertures: The measured and the true aperture of each segment; NaN frames are ignored.

    Returns:
      The mean correlation over segments, weighted by their frames, and the longest segment's lag in
      frames. None where no segment is long enough, or fewer than half of all frames are valid.
    """
    counts = [int((np.isfinite(a) & np.isfinite(b)).sum()) for a, b in apertures]
    long = [(count, pair) for count, pair in zip(counts, apertures, strict=True) if count >= FEWEST]
    if not long or 2 * sum(counts) < sum(len(a) for a, _ in apertures):
        return {"mouth_correlation": None, "mouth_lag_frames": None}
    correlations = [metrics.pearson(*pair) for _, pair in long]
    longest = max(long, key=lambda one: one[0])[1]
    return {
        "mouth_correlation": float(np.average(correlations, weights=[n for n, _ in long])),
        "mouth_lag_frames": metrics.peak_lag(*longest, MAX_LAG)[0],
    }


def mouth_movement(apertures: list[tuple[np.ndarray, np.ndarray]]) -> Number:
    """Computes the standard deviation of made apertures over that of the real ones.

    Deviations are from each segment's mean, and one detector measures both. None where the real
    mouth does not move.
    """
    finite = [np.stack(pair)[:, np.isfinite(pair).all(0)] for pair in apertures]
    made, real = np.sum([x.var(1) * x.shape[1] for x in finite if x.size] or [(0, 0)], axis=0)
    return float(np.sqrt(made / real)) if real > 1e-12 else None
