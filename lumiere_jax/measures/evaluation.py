"""What is measured of a system's frames beside the real ones, and what a report says of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lumiere_jax.body_parts import part_mask
from lumiere_jax.inputs.dataset.segments import Segment
from lumiere_jax.measures import drawn_lecturer, metrics, mouth_landmarks
from lumiere_jax.measures.mouth_landmarks import Find
from lumiere_jax.runtime.chunks import in_batches
from lumiere_jax.shapes import Picture

BATCH = 8

Values = dict[str, np.ndarray]
Finders = Mapping[str, Find] | None
Number = float | int | None


class Chunk(NamedTuple):
    """Neighbouring frames: where the first stands in its split, and by name what was made of
    them, (n, rows, cols, 3) uint8, and what was measured, (n, …)."""

    first: int
    pictures: dict[str, np.ndarray]
    values: Values


class Sheet(NamedTuple):
    """Pictures of the same moments below each other: what each row is called, by picture."""

    title: str
    text: str
    rows: Mapping[str, str]


class Table(NamedTuple):
    """A paper's numbers, to stand beside a stage's own: measures by column, and rows of text."""

    title: str
    text: str
    stage: str
    columns: Mapping[str, str]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is measured of a system, and what its report says.

    Attributes:
      follow: `follow(model, dataset, split, finders)` gives a function of a segment: its frames
        through the system, a few at a time, and what was measured, named by stage and measure
        ("video.psnr"); "aperture.video" and the like are signals.
      speak_shuffled: `speak_shuffled(model, dataset, split)` gives one of frames spoken from the
        segment's sound in the wrong order.
      stages: Each stage's title and text; "video" stands for the whole chain.
      judged: Stages that make frames.
      sheets: Pictures to look at.
      synthetic: Names of pictures that are marked as synthetic.
      measures: Name, range and meaning of each number that only this system has, by stage.
      goals: What is expected of "video" where the speaker is drawn, at least and at most.
      table: The paper's numbers; None where there is no such table.
      brings: Flags of files that a user may bring for further measures.
      summarise: Makes more numbers, by stage, of the values of all segments.
    """

    follow: Callable[[Any, Any, str, Finders], Callable[[Segment], Iterator[Chunk]]]
    speak_shuffled: Callable[[Any, Any, str], Callable[[Segment], Iterator[Picture]]]
    stages: Mapping[str, tuple[str, str]]
    judged: tuple[str, ...]
    sheets: tuple[Sheet, ...]
    synthetic: frozenset[str]
    measures: Mapping[str, Mapping[str, tuple[str, str, str]]]
    goals: Mapping[str, tuple[float | None, float | None]]
    table: Table | None = None
    brings: tuple[str, ...] = ()
    summarise: Callable[[list[Values]], dict[str, dict[str, Number]]] = lambda parts: {}


@jax.jit
def _distances_of_parts(made: Any, true: Any, keypoints: Any) -> dict[str, jax.Array]:
    values = {name: getattr(metrics, name)(made, true) for name in ("mse", "psnr", "ssim")}
    for part in ("face", "mouth", "hands"):
        mask = part_mask(keypoints, made.shape[1:3], part)
        values[f"{part}_psnr"] = metrics.masked_psnr(made, true, mask)
    return values


def judge(made: np.ndarray, true: np.ndarray, keypoints: np.ndarray) -> Values:
    """MSE, PSNR and SSIM of pictures, and the PSNR of parts: (n,) each, NaN where one is not
    seen."""
    return whole_first(in_batches(_distances_of_parts, BATCH, made, true, keypoints))


def whole_first(values: Values) -> Values:
    """What is said of the whole picture, whose name is shorter, before its parts; jit sorts by
    name."""
    return {name: values[name] for name in sorted(values, key=len)}


def compare(
    made: np.ndarray,
    true: np.ndarray,
    keypoints: np.ndarray,
    before: tuple[np.ndarray, np.ndarray] | None = None,
) -> Values:
    """What each of some neighbouring frames is beside the real one, by the measure's name.

    Frames are (n, rows, cols, 3) uint8, `keypoints` (n, 137, 3) those of the real ones; `before`
    is the made and the true frame that come before the first, where there are such. NaN: the
    PSNR of a part that is not seen, and the flicker of a first frame.
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
    """A measure of single pictures, of each."""
    return np.array([measure(frame) for frame in frames])


def compare_mouths(made: np.ndarray, true: np.ndarray, shape: tuple[int, int]) -> Values:
    """How far the lips of made frames are from those of the true ones, from keypoints (n, 137, 3)
    that were found in both; NaN where one of the two has no face."""
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
    """PSNR and SSIM of one picture that never moves, under the names of a still."""
    values = in_batches(lambda y: _beside_still(y, still), BATCH, y)
    return {f"{name}_{measure}": value for measure, value in values.items()}


def named(stage: str, values: Values) -> Values:
    """Values under the names of a stage's measures."""
    return {f"{stage}.{name}": value for name, value in values.items()}


def mouths(
    frames: Mapping[str, np.ndarray],
    known: Sequence[Mapping[str, Any]],
    finders: Finders,
    drawn: bool,
    aligned: bool = False,
) -> Values:
    """The apertures of mouths in "real" frames and in those of stages, by one detector for all.

    Of a `drawn` speaker also the true apertures, from the records that are `known`. Of another,
    where there are `finders`, one for each kind of frames, also the apertures in the footage and
    how far the lips are from the real ones; nothing where there are none.
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
    """The same rows with their blocks in another order, in which none keeps its place."""
    block = max(1, min(block, len(rows) // 4))
    blocks = np.array_split(rows, max(1, len(rows) // block))
    order = np.random.default_rng(0).permutation(len(blocks))
    # Each block takes the place of the one before it in a random round trip.
    source = np.empty_like(order)
    source[order] = np.roll(order, 1)
    return np.concatenate([blocks[i] for i in source])
