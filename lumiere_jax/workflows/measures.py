"""What a split's frames say of every stage and of the whole chain, a few frames at a time."""

import functools
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lumiere_jax import metrics
from lumiere_jax.codes.recurrent import BLSTM
from lumiere_jax.figures.vae import VAE
from lumiere_jax.frames.generators import UNet
from lumiere_jax.inputs import archive, synthetic_measures
from lumiere_jax.inputs.lectures import Segment
from lumiere_jax.systems.lumierenet import synthesise
from lumiere_jax.systems.lumierenet.seqpix2pix import render
from lumiere_jax.systems.lumierenet.synthesis import stream_windows
from lumiere_jax.systems.lumierenet.vae import encode, reconstruct
from lumiere_jax.workflows.workdir import Run

BATCH = 8
# Equal pictures are infinitely close, which neither a mean nor JSON can say.
MOST_PSNR = 100.0
# The fewest frames of which a mouth's lag can be told.
FEWEST = synthetic_measures.MAX_LAG + 2

Values = dict[str, np.ndarray]


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
        "reconstruction": reconstruct(vae, variables["vae"], w),
        "rendered": render(g, variables["G"], w),
    }


@jax.jit
def _distances(made: Any, true: Any) -> dict[str, jax.Array]:
    return {name: getattr(metrics, name)(made, true) for name in ("mse", "psnr", "ssim")}


@jax.jit
def _psnr(y: Any, still: Any) -> jax.Array:
    return metrics.psnr(y, jnp.broadcast_to(still, y.shape))


def follow(
    run: Run,
    variables: Any,
    records: Any,
    segment: Segment,
    rows: np.ndarray,
    mean_frame: np.ndarray,
    drawn: bool,
) -> Iterator[Chunk]:
    """A segment's frames through every stage and, from its normalised features `rows` alone,
    through the whole chain.

    Values are named by stage and measure, "seqpix2pix.psnr"; for the `drawn` lecturer there are
    also the apertures and wrists of `synthetic_measures`, by the same detector for real and
    synthesised frames, and the true apertures.
    """
    c = run.config
    models = (
        BLSTM(c.blstm.cells, c.vae.code),
        VAE(run.size, c.vae.code),
        UNet(run.size, c.seqpix2pix.width),
    )
    spoken = synthesise(c, run.size, variables, [rows])
    windows = stream_windows([rows], c.blstm.window, c.blstm.delay)
    for start in range(0, segment.frames, BATCH):
        n = min(BATCH, segment.frames - start)
        first = segment.offset + start
        known = [records[i] for i in range(first, first + n)]
        w, y = (np.stack([archive.decode(r[name]) for r in known]) for name in ("figure", "frame"))
        a = np.stack(list(itertools.islice(windows, n)))
        said = list(itertools.islice(spoken, n))
        y_said = np.stack([s.frame for s in said])
        made = {k: np.asarray(v) for k, v in _stages(models, variables, _full(w), _full(a)).items()}
        pairs = {
            "vae": (made["reconstruction"], w),
            "seqpix2pix": (made["rendered"], y),
            "video": (y_said, y),
        }
        values = {
            f"{stage}.{name}": np.asarray(value)[:n]
            for stage, (x, true) in pairs.items()
            for name, value in _distances(_full(x), _full(true)).items()
        }
        z = made["z"][:n]
        values["mean_frame.psnr"] = np.asarray(_psnr(_full(y), mean_frame))[:n]
        values |= {"z": z, "blstm.mse": ((made["heard"][:n] - z) ** 2).mean(1)}
        if drawn:
            values["aperture.true"] = np.array([r["aperture"] for r in known], np.float64)
            for name, frames in (("real", y), ("video", y_said)):
                values[f"aperture.{name}"] = synthetic_measures.measure_aperture(frames)
                values[f"wrists.{name}"] = synthetic_measures.measure_wrists(frames)
        pictures = {
            "figure": w,
            "reconstruction": made["reconstruction"][:n],
            "spoken_figure": np.stack([s.figure for s in said]),
            "rendered": made["rendered"][:n],
            "spoken": y_said,
            "frame": y,
        }
        yield Chunk(first, pictures, values)


def _full(x: np.ndarray) -> np.ndarray:
    """Filled up to a whole batch, so that everything is compiled once."""
    return np.concatenate([x, np.repeat(x[-1:], BATCH - len(x), 0)]) if len(x) < BATCH else x


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


def summary(parts: list[Values]) -> dict[str, dict[str, float]]:
    """Means over all frames of all segments, by stage and measure."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def mean(name: str) -> float:
        return float(np.minimum(joined[name], MOST_PSNR if "psnr" in name else np.inf).mean())

    result = {
        stage: {name: mean(f"{stage}.{name}") for name in ("mse", "psnr", "ssim")}
        for stage in ("vae", "seqpix2pix", "video")
    }
    result["seqpix2pix"]["mean_frame_psnr"] = mean("mean_frame.psnr")
    error, variance = mean("blstm.mse"), float(joined["z"].var(0).mean())
    result["blstm"] = {"mse": error, "share_of_variance": error / max(variance, 1e-12)}
    return {stage: result[stage] for stage in ("vae", "blstm", "seqpix2pix", "video")}


def known_answer(parts: list[Values]) -> dict[str, float | int | None]:
    """How the mouth and the wrists of the drawn lecturer follow the truth.

    Each segment is measured by itself; means over segments by their frames, for the lag the
    longest's. None where no segment is long enough. The truth of the mouth is the drawn aperture,
    that of the wrists the same detector's on the real frames.
    """
    long = [part for part in parts if len(part["aperture.true"]) >= FEWEST]
    frames = [len(part["aperture.true"]) for part in long]

    def mean(measure: Any) -> float | None:
        return float(np.average([measure(p) for p in long], weights=frames)) if long else None

    def correlation(name: str) -> float | None:
        return mean(lambda p: metrics.pearson(p[f"aperture.{name}"], p["aperture.true"]))

    longest: Any = max(long, key=lambda p: len(p["aperture.true"]), default=None)
    return {
        "mouth_correlation": correlation("video"),
        "mouth_lag_frames": longest
        and synthetic_measures.mouth_correlation(
            longest["aperture.video"], longest["aperture.true"]
        )[1],
        "gesture_ratio": mean(
            lambda p: synthetic_measures.gesture_ratio(p["wrists.video"], p["wrists.real"])
        ),
        "mouth_correlation_real_frames": correlation("real"),
        "mouth_correlation_shuffled_audio": correlation("shuffled"),
    }
