"""Evaluation of every stage and of the whole chain on a split, a few frames at a time."""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lumiere_jax.body_parts import part_mask
from lumiere_jax.codes.recurrent import BLSTM
from lumiere_jax.figures.autoencoder import VAE
from lumiere_jax.frames.generators import UNet
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.segments import Segment
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.measures import drawn_lecturer, metrics
from lumiere_jax.measures.evaluation import (
    BATCH,
    Chunk,
    Evaluation,
    Finders,
    Number,
    Sheet,
    Table,
    Values,
)
from lumiere_jax.measures.frame_comparison import (
    beside_still,
    compare,
    judge,
    mouths,
    named,
    of_each,
    shuffled,
    whole_first,
)
from lumiere_jax.measures.summaries import FEWEST
from lumiere_jax.runtime.inference_batches import in_batches
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.contract import Model
from lumiere_jax.systems.lumierenet.blstm import blstm_network
from lumiere_jax.systems.lumierenet.normalised_features import segment_features
from lumiere_jax.systems.lumierenet.seqpix2pix import render
from lumiere_jax.systems.lumierenet.seqpix2pix_losses import generator
from lumiere_jax.systems.lumierenet.synthesis import stream_windows, synthesise
from lumiere_jax.systems.lumierenet.vae import encode, reconstruct, vae_network

# The stages whose frames are compared with the real ones.
JUDGED = ("seqpix2pix", "video")
MEAN_FRAMES = 1000
# Table 1, Kim and Ganapathi 2019: MSE, PSNR, SSIM on test sets 1 and 2.
PAPER = (
    ("SeqPix2Pix", (78.97, 29.25, 0.88), (77.39, 29.35, 0.88)),
    ("Baseline 1: adversarial only", (114.78, 27.64, 0.91), (116.51, 27.61, 0.91)),
    ("Baseline 2: and perceptual", (80.68, 29.16, 0.93), (77.06, 29.37, 0.93)),
)


@functools.partial(jax.jit, static_argnums=0)
def _stages(models: tuple[BLSTM, VAE, UNet], variables: Any, w: Any, a: Any) -> dict[str, Any]:
    z_of_a, vae, g = models
    return {
        "z": encode(vae, variables["vae"]["vae"], w),
        "heard": z_of_a.apply(variables["blstm"]["blstm"], a),
        "reconstruction": (again := reconstruct(vae, variables["vae"]["vae"], w)),
        "rendered": render(g, variables["seqpix2pix"]["G"], w),
        "rendered_again": render(g, variables["seqpix2pix"]["G"], again),
    }


@jax.jit
def _distances_of_reconstructed(made: Any, true: Any, keypoints: Any) -> dict[str, jax.Array]:
    hands = part_mask(keypoints, made.shape[1:3], "hands")
    return {
        "reconstructed_psnr": metrics.psnr(made, true),
        "reconstructed_hands_psnr": metrics.masked_psnr(made, true, hands),
    }


def mean_frame(records: Any) -> Picture:
    """Averages at most `MEAN_FRAMES` evenly spaced frames."""
    picked = np.unique(np.linspace(0, len(records) - 1, MEAN_FRAMES).astype(int))
    total = np.zeros(())
    for i in tqdm(picked, "mean training frame", unit="frame", dynamic_ncols=True):
        total = total + picture_bytes.decode(records[int(i)]["frame"])
    return np.round(total / len(picked)).astype(np.uint8)


def follow(
    model: Model, dataset: Dataset, split: str, finders: Finders
) -> Callable[[Segment], Iterator[Chunk]]:
    """Returns the function that yields a segment's pictures and measures, chunk by chunk.

    Frames go through every stage, and segments' features alone through the whole chain. A drawn
    lecturer has wrists too, as "wrists.real" and "wrists.video".
    """
    run, variables, drawn = model.run, model.variables, dataset.drawn_seed is not None
    c = run.config
    models = blstm_network(c), vae_network(c, run.size), generator(c, run.size)
    records, mean = dataset.records(split), mean_frame(dataset.records("train"))

    def followed(segment: Segment) -> Iterator[Chunk]:
        rows = segment_features(dataset, segment, run)
        spoken = synthesise(c, run.size, variables, [rows])
        windows = stream_windows([rows], c.blstm.window, c.blstm.delay)
        before: dict[str, np.ndarray] = {}
        for start in range(0, segment.frames, BATCH):
            n = min(BATCH, segment.frames - start)
            first = segment.offset + start
            known = [records[i] for i in range(first, first + n)]
            w, y = (
                np.stack([picture_bytes.decode(r[name], run.shape) for r in known])
                for name in ("figure", "frame")
            )
            a = np.stack(list(itertools.islice(windows, n)))
            said = list(itertools.islice(spoken, n))
            made = in_batches(functools.partial(_stages, models, variables), BATCH, w, a)
            video = np.stack([s.frame for s in said])
            frames = {"real": y, "seqpix2pix": made["rendered"], "video": video}
            keypoints = np.stack([r["keypoints"] for r in known])
            values = {"z": made["z"], "blstm.mse": ((made["heard"] - made["z"]) ** 2).mean(1)}
            values |= named("vae", judge(made["reconstruction"], w, keypoints))
            for stage in JUDGED:
                last = (before[stage], before["real"]) if before else None
                values |= named(stage, compare(frames[stage], y, keypoints, last))
            values |= named("seqpix2pix", beside_still("mean_frame", y, mean))
            again = made["rendered_again"]
            again = in_batches(_distances_of_reconstructed, BATCH, again, y, keypoints)
            values |= named("seqpix2pix", whole_first(again))
            values["seqpix2pix.real_sharpness"] = of_each(metrics.sharpness, y)
            values |= mouths(frames, known, finders, drawn)
            if drawn:
                for name in ("real", "video"):
                    values[f"wrists.{name}"] = drawn_lecturer.measure_wrists(frames[name])
            before = {name: stack[-1] for name, stack in frames.items()}
            pictures = {
                "figure": w,
                "reconstruction": made["reconstruction"],
                "spoken_figure": np.stack([s.figure for s in said]),
                "rendered": made["rendered"],
                "spoken": video,
                "frame": y,
            }
            yield Chunk(first, pictures, values)

    return followed


def speak_shuffled(
    model: Model, dataset: Dataset, split: str
) -> Callable[[Segment], Iterator[Picture]]:
    """Returns the function that synthesises a segment from its features in the wrong order."""
    run = model.run

    def spoken(segment: Segment) -> Iterator[Picture]:
        rows = shuffled(segment_features(dataset, segment, run), round(run.fps))
        return (s.frame for s in synthesise(run.config, run.size, model.variables, [rows]))

    return spoken


def summarise(parts: list[Values]) -> dict[str, dict[str, Number]]:
    """Computes the missed share of the codes' variance, and the gesture ratio of a drawn lecturer.

    The ratio is the mean over segments by their frames, None where none is long enough.
    """
    z, missed = (np.concatenate([part[name] for part in parts]) for name in ("z", "blstm.mse"))
    variance = max(float(z.var(0).mean()), 1e-12)
    more: dict[str, dict[str, Number]] = {
        "blstm": {"share_of_variance": float(missed.mean()) / variance}
    }
    if "wrists.real" in parts[0]:
        pairs = [(part["wrists.video"], part["wrists.real"]) for part in parts]
        pairs = [pair for pair in pairs if len(pair[0]) >= FEWEST]
        ratios = [drawn_lecturer.gesture_ratio(*pair) for pair in pairs]
        frames = [len(made) for made, _ in pairs]
        mean = float(np.average(ratios, weights=frames)) if pairs else None
        more["video"] = {"gesture_ratio": mean}
    return more


EVALUATION = Evaluation(
    follow=follow,
    speak_shuffled=speak_shuffled,
    summarise=summarise,
    stages={
        "vae": ("VAE", "pose figures through their codes and back, against the figures"),
        "blstm": ("BLSTM", "codes heard in the audio, against the codes of the true figures"),
        "seqpix2pix": ("SeqPix2Pix", "frames drawn from the true figures, against the real frames"),
        "video": ("The whole chain", "frames from the audio alone, against the real frames"),
    },
    judged=JUDGED,
    sheets=(
        Sheet(
            "Frames",
            "From the true figure SeqPix2Pix is alone responsible; from the audio, all three "
            "stages.",
            {
                "figure": "pose figure",
                "rendered": "synthesised from the true figure",
                "spoken": "synthesised from the audio",
                "frame": "real",
            },
        ),
        Sheet(
            "Pose figures",
            "Colour says which part of the body a pixel is of, and where on it.",
            {
                "figure": "pose figure",
                "reconstruction": "its reconstruction by the VAE",
                "spoken_figure": "from the audio",
            },
        ),
    ),
    synthetic=frozenset({"rendered", "spoken"}),
    measures={
        "blstm": {
            "mse": ("MSE", "0 best", "Mean squared difference of the codes' numbers."),
            "share_of_variance": (
                "MSE over variance",
                "0 best; 1: a guess",
                "What of the codes' variance is missed; 1 is what their mean alone would score.",
            ),
        },
        "seqpix2pix": {
            "mean_frame_psnr": (
                "PSNR of the mean frame, dB",
                "to be beaten",
                "That of one still picture, the mean of the training frames.",
            ),
            "mean_frame_ssim": (
                "SSIM of the mean frame",
                "to be beaten",
                "How alike its neighbourhoods are.",
            ),
            "reconstructed_psnr": (
                "PSNR from reconstructions, dB",
                "higher is better",
                "The same from the VAE's reconstructions of the figures, which are what synthesis "
                "has.",
            ),
            "reconstructed_hands_psnr": (
                "PSNR of the hands, from them, dB",
                "higher is better",
                "The same inside both hands' boxes.",
            ),
        },
        "video": {
            "gesture_ratio": (
                "Gesture ratio",
                "1: as lively; 0: frozen",
                "Variance of the wrists' speed over that of the real frames, by one detector.",
            ),
        },
    },
    goals={
        "mouth_correlation": (0.8, None),
        "mouth_lag_frames": (-1, 1),
        "gesture_ratio": (0.5, None),
        "mouth_correlation_real_frames": (0.95, None),
        "mouth_correlation_shuffled_audio": (None, 0.2),
    },
    table=Table(
        "SeqPix2Pix beside the paper's Table 1",
        "Frames from true figures; test sets 1 / 2 of the paper. It measured another lecturer, so "
        "the numbers say where one stands, not who is better.",
        "seqpix2pix",
        {"mse": "MSE ↓", "psnr": "PSNR, dB ↑", "ssim": "SSIM ↑"},
        tuple(
            (name, *(f"{a:.2f} / {b:.2f}" for a, b in zip(*sets, strict=True)))
            for name, *sets in PAPER
        ),
    ),
)
