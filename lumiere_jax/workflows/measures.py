"""What a split's frames say of every stage and of the whole chain, a few frames at a time."""

import functools
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lumiere_jax import metrics
from lumiere_jax.codes.recurrent import BLSTM
from lumiere_jax.figures.vae import VAE
from lumiere_jax.frames.generators import UNet
from lumiere_jax.inputs import archive, face_measures, synthetic_measures
from lumiere_jax.inputs.face_measures import Find
from lumiere_jax.inputs.segments import Segment
from lumiere_jax.parts import part_mask
from lumiere_jax.systems.batches import in_batches
from lumiere_jax.systems.lumierenet import synthesise
from lumiere_jax.systems.lumierenet.blstm import blstm_network
from lumiere_jax.systems.lumierenet.seqpix2pix import generator, render
from lumiere_jax.systems.lumierenet.synthesis import stream_windows
from lumiere_jax.systems.lumierenet.vae import encode, reconstruct, vae_network
from lumiere_jax.workflows.workdir import Run

BATCH = 8

# The stages whose frames are judged beside the real ones, and all frames that there are.
JUDGED = ("seqpix2pix", "video")
FRAMES = ("real", *JUDGED)

Values = dict[str, np.ndarray]
Finders = Mapping[str, Find] | None


class Chunk(NamedTuple):
    """Neighbouring frames: where the first stands in its split, and by name what was made of
    them, (n, size, size, 3) uint8, and what was measured, (n, …)."""

    first: int
    pictures: dict[str, np.ndarray]
    values: Values


@functools.partial(jax.jit, static_argnums=0)
def _stages(models: tuple[BLSTM, VAE, UNet], variables: Any, w: Any, a: Any) -> dict[str, Any]:
    z_of_a, vae, g = models
    return {
        "z": encode(vae, variables["vae"], w),
        "heard": z_of_a.apply(variables["blstm"], a),
        "reconstruction": (again := reconstruct(vae, variables["vae"], w)),
        "rendered": render(g, variables["G"], w),
        "rendered_again": render(g, variables["G"], again),
    }


@jax.jit
def _distances_of_parts(made: Any, true: Any, keypoints: Any) -> dict[str, jax.Array]:
    values = {name: getattr(metrics, name)(made, true) for name in ("mse", "psnr", "ssim")}
    for part in ("face", "mouth", "hands"):
        mask = part_mask(keypoints, made.shape[1], part)
        values[f"{part}_psnr"] = metrics.masked_psnr(made, true, mask)
    return values


@jax.jit
def _distances_of_reconstructed(made: Any, true: Any, keypoints: Any) -> dict[str, jax.Array]:
    hands = part_mask(keypoints, made.shape[1], "hands")
    return {
        "reconstructed_psnr": metrics.psnr(made, true),
        "reconstructed_hands_psnr": metrics.masked_psnr(made, true, hands),
    }


@jax.jit
def _psnr(y: Any, still: Any) -> dict[str, jax.Array]:
    return {"mean_frame_psnr": metrics.psnr(y, jnp.broadcast_to(still, y.shape))}


def judge(made: np.ndarray, true: np.ndarray, keypoints: np.ndarray) -> Values:
    """MSE, PSNR and SSIM of pictures, and the PSNR of parts: (n,) each, NaN where one is not
    seen."""
    return _whole_first(in_batches(_distances_of_parts, BATCH, made, true, keypoints))


def _whole_first(values: Values) -> Values:
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

    Frames are (n, size, size, 3) uint8, `keypoints` (n, 137, 3) those of the real ones; `before`
    is the made and the true frame that come before the first, where there are such. NaN: the
    PSNR of a part that is not seen, and the flicker of a first frame.
    """
    values = judge(made, true, keypoints)
    if before is None:
        values["flicker"] = np.append(np.nan, metrics.flicker(made, true))
    else:
        pair = (np.insert(x, 0, last, 0) for x, last in zip((made, true), before, strict=True))
        values["flicker"] = metrics.flicker(*pair)
    values["sharpness"] = np.array([metrics.sharpness(frame) for frame in made])
    return values


def compare_mouths(made: np.ndarray, true: np.ndarray, size: int) -> Values:
    """How far the lips of made frames are from those of the true ones, from keypoints (n, 137, 3)
    that were found in both; NaN where one of the two has no face."""
    lips, true_lips = (face_measures.mouth_points(keypoints, size) for keypoints in (made, true))
    distance = metrics.landmark_distance(lips, true_lips)
    width = np.linalg.norm(true_lips[:, 6] - true_lips[:, 0], axis=-1)
    return {
        "mouth_landmark_distance": distance,
        "relative_mouth_landmark_distance": distance / width,
    }


def _named(stage: str, values: Values) -> Values:
    return {f"{stage}.{name}": value for name, value in values.items()}


def follow(
    run: Run,
    variables: Any,
    records: Any,
    segment: Segment,
    rows: np.ndarray,
    mean_frame: np.ndarray,
    drawn: bool,
    finders: Finders,
) -> Iterator[Chunk]:
    """A segment's frames through every stage and, from its normalised features `rows` alone,
    through the whole chain.

    Values are named by stage and measure, "seqpix2pix.psnr". For the `drawn` lecturer there are
    also the apertures and wrists of `synthetic_measures`, by the same detector for real and
    synthesised frames, and the true apertures. Where there are `finders`, one for each of `FRAMES`,
    there are the apertures and distances of the mouths that they find.
    """
    c = run.config
    models = (
        blstm_network(c),
        vae_network(c, run.size),
        generator(c, run.size),
    )
    spoken = synthesise(c, run.size, variables, [rows])
    windows = stream_windows([rows], c.blstm.window, c.blstm.delay)
    before: dict[str, np.ndarray] = {}
    for start in range(0, segment.frames, BATCH):
        n = min(BATCH, segment.frames - start)
        first = segment.offset + start
        known = [records[i] for i in range(first, first + n)]
        w, y = (
            np.stack([archive.decode(r[name], run.shape) for r in known])
            for name in ("figure", "frame")
        )
        a = np.stack(list(itertools.islice(windows, n)))
        said = list(itertools.islice(spoken, n))
        made = in_batches(functools.partial(_stages, models, variables), BATCH, w, a)
        frames = {
            "real": y,
            "seqpix2pix": made["rendered"],
            "video": np.stack([s.frame for s in said]),
        }
        keypoints = np.stack([r["keypoints"] for r in known])
        values = {"z": made["z"], "blstm.mse": ((made["heard"] - made["z"]) ** 2).mean(1)}
        values |= _named("vae", judge(made["reconstruction"], w, keypoints))
        for stage in JUDGED:
            last = (before[stage], before["real"]) if before else None
            values |= _named(stage, compare(frames[stage], y, keypoints, last))
        values |= _named(
            "seqpix2pix", in_batches(functools.partial(_psnr, still=mean_frame), BATCH, y)
        )
        again = in_batches(_distances_of_reconstructed, BATCH, made["rendered_again"], y, keypoints)
        values |= _named("seqpix2pix", _whole_first(again))
        values["seqpix2pix.real_sharpness"] = np.array([metrics.sharpness(frame) for frame in y])
        if drawn:
            values |= _drawn_motion(frames)
            values["aperture.true"] = np.array([r["aperture"] for r in known], np.float64)
        elif finders:
            values |= _found_mouths(frames, finders)
            values["aperture.footage"] = face_measures.aperture(keypoints)
        before = {name: stack[-1] for name, stack in frames.items()}
        pictures = {
            "figure": w,
            "reconstruction": made["reconstruction"],
            "spoken_figure": np.stack([s.figure for s in said]),
            "rendered": made["rendered"],
            "spoken": frames["video"],
            "frame": y,
        }
        yield Chunk(first, pictures, values)


def _drawn_motion(frames: dict[str, np.ndarray]) -> Values:
    values = {}
    for name in FRAMES:
        values[f"aperture.{name}"] = synthetic_measures.measure_aperture(frames[name])
    for name in ("real", "video"):
        values[f"wrists.{name}"] = synthetic_measures.measure_wrists(frames[name])
    return values


def _found_mouths(frames: dict[str, np.ndarray], finders: Mapping[str, Find]) -> Values:
    found = {name: finders[name](frames[name]) for name in FRAMES}
    values = {f"aperture.{name}": face_measures.aperture(points) for name, points in found.items()}
    for stage in JUDGED:
        size = frames[stage].shape[1]
        values |= _named(stage, compare_mouths(found[stage], found["real"], size))
    return values


def mishear(run: Run, variables: Any, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Apertures, in pieces, of frames spoken from a segment's features in the wrong order."""
    spoken = synthesise(run.config, run.size, variables, [shuffled(rows, round(run.fps))])
    while piece := list(itertools.islice(spoken, BATCH)):
        yield synthetic_measures.measure_aperture(np.stack([s.frame for s in piece]))


def shuffled(rows: np.ndarray, block: int) -> np.ndarray:
    """The same rows with their blocks in another order, in which none keeps its place."""
    block = max(1, min(block, len(rows) // 4))
    blocks = np.array_split(rows, max(1, len(rows) // block))
    order = np.random.default_rng(0).permutation(len(blocks))
    # Each block takes the place of the one before it in a random round trip.
    source = np.empty_like(order)
    source[order] = np.roll(order, 1)
    return np.concatenate([blocks[i] for i in source])
