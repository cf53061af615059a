"""Comparison of made frames with the real ones: the measures that every system reports."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lumiere_jax.body_parts import part_mask
from lumiere_jax.measures import drawn_lecturer, metrics, mouth_landmarks
from lumiere_jax.measures.evaluation import BATCH, Finders, Values
from lumiere_jax.runtime.inference_batches import in_batches
from lumiere_jax.shapes import Picture


@jax.jit
def _distances_of_parts(made: Any, true: Any, keypoints: Any) -> dict[str, jax.Array]:
    values = {name: getattr(metrics, name)(made, true) for name in ("mse", "psnr", "ssim")}
    for part in ("face", "mouth", "hands"):
        mask = part_mask(keypoints, made.shape[1:3], part)
        values[f"{part}_psnr"] = metrics.masked_psnr(made, true, mask)
    return values


def judge(made: np.ndarray, true: np.ndarray, keypoints: np.ndarray) -> Values:
    """Computes pictures' MSE, PSNR and SSIM, and the PSNR of parts: (n,) each.

    Args:
      made: Made pictures, (n, rows, cols, 3) uint8.
      true: Real pictures of the same shape.
      keypoints: Keypoints of the real pictures, (n, 137, 3).

    Returns:
      Values by measure; NaN for the PSNR of a part that is not visible.
    """
    return whole_first(in_batches(_distances_of_parts, BATCH, made, true, keypoints))


def whole_first(values: Values) -> Values:
    """Sorts the whole picture's values before its parts', which have longer names.

    jit returns dictionaries sorted by name.
    """
    return {name: values[name] for name in sorted(values, key=len)}


def compare(
    made: np.ndarray,
    true: np.ndarray,
    keypoints: np.ndarray,
    before: tuple[np.ndarray, np.ndarray] | None = None,
) -> Values:
    """Compares consecutive frames with the real ones.

    Args:
      made: Made frames, (n, rows, cols, 3) uint8.
      true: Real frames of the same shape.
      keypoints: Keypoints of the real frames, (n, 137, 3).
      before: The made and the real frame before the first ones, if any.

    Returns:
      Values (n,) by measure. NaN for the PSNR of a part that is not visible, and for the flicker of
      a first frame.
    """
    values = judge(made, true, keypoints)
    if before is None:
        values["flicker"] = np.append(np.nan, metrics.flicker(made, true))
    else:
        pair = (np.insert(x, 0, last, 0) for x, last in zip((made, true), before, strict=True))
        values["flicker"] = metrics.flicker(*pair)
    values["sharpness"] = of_each(metrics.sharpness, made)
    return values


def of_each(measure: Callable[[Picture], float], frames: np.ndarray) -> np.ndarray:
    """Applies a per-picture measure to every frame."""
    return np.array([measure(frame) for frame in frames])


def compare_mouths(made: np.ndarray, true: np.ndarray, shape: tuple[int, int]) -> Values:
    """Computes the lips' distances between made and real frames.

    Args:
      made: Keypoints found in the made frames, (n, 137, 3).
      true: Keypoints found in the real frames, (n, 137, 3).
      shape: Rows and columns of the frames.

    Returns:
      Distances in pixels and as shares of the mouth's width, (n,) each. NaN where either frame has
      no face.
    """
    lips, true_lips = (mouth_landmarks.mouth_points(keypoints, shape) for keypoints in (made, true))
    distance = metrics.landmark_distance(lips, true_lips)
    width = np.linalg.norm(true_lips[:, 6] - true_lips[:, 0], axis=-1)
    return {
        "mouth_landmark_distance": distance,
        "relative_mouth_landmark_distance": distance / width,
    }


@jax.jit
def _beside_still(y: Any, still: Any) -> dict[str, jax.Array]:
    still = jnp.broadcast_to(still, y.shape)
    return {"psnr": metrics.psnr(y, still), "ssim": metrics.ssim(y, still)}


def beside_still(name: str, y: np.ndarray, still: Picture) -> Values:
    """Computes the PSNR and SSIM of one constant picture against frames, named after `name`."""
    values = in_batches(lambda y: _beside_still(y, still), BATCH, y)
    return {f"{name}_{measure}": value for measure, value in values.items()}


def named(stage: str, values: Values) -> Values:
    """Prefixes the values' names with a stage's name."""
    return {f"{stage}.{name}": value for name, value in values.items()}


def mouths(
    frames: Mapping[str, np.ndarray],
    known: Sequence[Mapping[str, Any]],
    finders: Finders,
    drawn: bool,
    aligned: bool = False,
) -> Values:
    """Measures mouth apertures in real and synthesised frames with the same detector.

    A drawn speaker's mouth is measured from pixels, another's by `finders`.

    Args:
      frames: "real" frames and stages' frames, by name, (n, rows, cols, 3) uint8.
      known: The dataset's records of these frames.
      finders: Keypoint finders, by the names of `frames`; unused for a drawn speaker.
      drawn: Whether the speaker is drawn.
      aligned: Whether the frames are aligned faces.

    Returns:
      Values (n,) by name: "aperture.NAME" for each kind of frames. A drawn speaker adds the true
      apertures; finders add the footage's apertures and the lips' distances. Empty for a filmed
      speaker without finders.
    """
    if drawn:
        values = {
            f"aperture.{name}": drawn_lecturer.measure_aperture(y, aligned)
            for name, y in frames.items()
        }
        return {**values, "aperture.true": np.array([r["aperture"] for r in known], np.float64)}
    if not finders:
        return {}
    shape = frames["real"].shape[1:3]
    found = {name: finders[name](y) for name, y in frames.items()}
    values = {
        f"aperture.{n}": mouth_landmarks.aperture(points, shape) for n, points in found.items()
    }
    for stage, points in found.items():
        if stage != "real":
            values |= named(stage, compare_mouths(points, found["real"], shape))
    keypoints = np.stack([r["keypoints"] for r in known])
    return {**values, "aperture.footage": mouth_landmarks.aperture(keypoints, shape)}


def shuffled(rows: np.ndarray, block: int) -> np.ndarray:
    """Permutes blocks of rows so that none keeps its place.

    Blocks have about `block` rows, but at most a quarter of all.
    """
    block = max(1, min(block, len(rows) // 4))
    blocks = np.array_split(rows, max(1, len(rows) // block))
    order = np.random.default_rng(0).permutation(len(blocks))
    # A random cycle through all blocks: each takes the place of the one before it.
    source = np.empty_like(order)
    source[order] = np.roll(order, 1)
    return np.concatenate([blocks[i] for i in source])
