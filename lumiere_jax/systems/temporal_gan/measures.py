"""Evaluation of the animator on a split: each segment's first frame speaks its sound."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lumiere_jax.audio.frame_times import RATE, frame_start
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.segments import Segment
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.measures import metrics
from lumiere_jax.measures.evaluation import BATCH, Chunk, Evaluation, Finders, Sheet, Table
from lumiere_jax.measures.frame_comparison import (
    beside_still,
    compare,
    mouths,
    named,
    of_each,
    shuffled,
)
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.contract import Model, Narration, Request, Run
from lumiere_jax.systems.temporal_gan.synthesis import speak


def _still(run: Run, records: Any, segment: Segment) -> Picture:
    return picture_bytes.decode(records[segment.offset]["frame"], run.shape)


def follow(
    model: Model, dataset: Dataset, split: str, finders: Finders
) -> Callable[[Segment], Iterator[Chunk]]:
    """Returns the function that animates a segment's first frame and measures it by chunks."""
    run, records, drawn = model.run, dataset.records(split), dataset.drawn_seed is not None

    def followed(segment: Segment) -> Iterator[Chunk]:
        still, n = _still(run, records, segment), segment.frames
        sound = (
            dataset.samples(segment, start, start + RATE)
            for start in range(0, frame_start(n, run.fps, RATE), RATE)
        )
        narration = Narration(sound, dataset.gain(segment), n)
        spoken = speak(model, Request(narration=narration, still=still))
        before: tuple[np.ndarray, np.ndarray] | None = None
        for start in range(0, n, BATCH):
            first = segment.offset + start
            known = [records[first + i] for i in range(min(BATCH, n - start))]
            y = np.stack([picture_bytes.decode(r["frame"], run.shape) for r in known])
            video = np.stack([next(spoken) for _ in known])
            keypoints = np.stack([r["keypoints"] for r in known])
            values = compare(video, y, keypoints, before)
            values["real_sharpness"] = of_each(metrics.sharpness, y)
            values["frequency_sharpness"] = of_each(metrics.frequency_sharpness, video)
            values["real_frequency_sharpness"] = of_each(metrics.frequency_sharpness, y)
            beside = beside_still("still", y, still)
            if not start:  # the still itself
                beside = {name: np.append(np.nan, x[1:]) for name, x in beside.items()}
            values = named("video", values | beside)
            values |= mouths({"real": y, "video": video}, known, finders, drawn, aligned=True)
            before = video[-1], y[-1]
            stills = np.broadcast_to(still, y.shape)
            yield Chunk(first, {"still": stills, "spoken": video, "frame": y}, values)

    return followed


def speak_shuffled(
    model: Model, dataset: Dataset, split: str
) -> Callable[[Segment], Iterator[Picture]]:
    """Returns the function that animates a segment with its seconds in the wrong order."""
    records = dataset.records(split)

    def spoken(segment: Segment) -> Iterator[Picture]:
        sound = shuffled(dataset.sound(segment, segment.frames)[:, 0], RATE)
        narration = Narration([sound], dataset.gain(segment), segment.frames)
        still = _still(model.run, records, segment)
        return speak(model, Request(narration=narration, still=still))

    return spoken


EVALUATION = Evaluation(
    follow=follow,
    speak_shuffled=speak_shuffled,
    report_files=("embedding", "references", "hypotheses"),
    stages={
        "video": ("Animation", "frames from a clip's first frame and its sound, beside its own")
    },
    judged=("video",),
    sheets=(
        Sheet(
            "Frames",
            "The still is the clip's first frame; all that moves is heard.",
            {
                "still": "real: the clip's first frame",
                "spoken": "synthesised from still and audio",
                "frame": "real",
            },
        ),
    ),
    synthetic=frozenset({"spoken"}),
    measures={
        "video": {
            "still_psnr": (
                "PSNR of the still, dB",
                "to be beaten",
                "That of the clip's first frame, which never moves, beside the frames after it.",
            ),
            "still_ssim": (
                "SSIM of the still",
                "to be beaten",
                "How alike its neighbourhoods are.",
            ),
            "frequency_sharpness": (
                "Sharpness in frequencies (FDBM)",
                "0 to 1; wanted: as real",
                "Share of frequencies over a thousandth of the strongest (De and Masilamani 2013).",
            ),
            "real_frequency_sharpness": (
                "… of the real frames",
                "0 to 1",
                "What the one above is to be held against.",
            ),
            "face_distance": (
                "Distance of faces (ACD)",
                "0 best, at most 2",
                "Mean distance of the frames' unit embeddings from the still's; its magnitude is "
                "the embedding network's.",
            ),
            "face_distance_cosine": ("… as cosine distance", "0 best, at most 2", "The same."),
            "real_face_distance": (
                "… of the real frames",
                "0 to 2",
                "What the distance is to be held against.",
            ),
            "word_error_rate": (
                "Word error rate (WER)",
                "0 best",
                "Of a lip reader's transcripts against what was said.",
            ),
        }
    },
    goals={
        "mouth_correlation": (0.6, None),
        "mouth_lag_frames": (-1, 1),
        "mouth_correlation_real_frames": (0.9, None),
        "mouth_correlation_shuffled_audio": (None, 0.2),
    },
    # Vougioukas et al. 2018.
    table=Table(
        "Beside the paper's Tables 2 and 3",
        "Unseen faces of GRID at 128 × 96, and TCD-TIMIT. Other people, so the numbers say where "
        "one stands, not who is better; CPBD here counts the blocks at the picture's edges too.",
        "video",
        {
            "psnr": "PSNR, dB ↑",
            "ssim": "SSIM ↑",
            "frequency_sharpness": "FDBM",
            "sharpness": "CPBD",
        },
        (
            ("GRID: L1 alone", "28.47", "0.859", "0.101", "0.210"),
            ("GRID: the whole model", "27.98", "0.844", "0.114", "0.277"),
            ("GRID: the static baseline", "27.39", "0.831", "0.113", "0.280"),
            ("GRID: real frames", "–", "–", "0.121", "0.281"),
            ("TCD-TIMIT: the whole model", "23.54", "0.697", "0.102", "0.253"),
        ),
    ),
)
