"""Evaluation of a trained workdir on a dataset's split, as a report.

Flags and files are checked first, and the report's folder appears only when it is complete.
"""

import csv
import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import lumiere_jax
from lumiere_jax.audio.frame_times import RATE
from lumiere_jax.errors import UserError, printable
from lumiere_jax.inputs.dataset.consent import consent_id
from lumiere_jax.inputs.dataset.lectures import Dataset, open_dataset
from lumiere_jax.inputs.dataset.segments import SPLITS, Segment
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.measures.drawn_lecturer import measure_aperture
from lumiere_jax.measures.evaluation import BATCH, Evaluation, Finders, Values
from lumiere_jax.measures.face_embeddings import Embed, open_embedding, read_embeddings
from lumiere_jax.measures.frame_comparison import named
from lumiere_jax.measures.metrics import content_distances, word_error_rate
from lumiere_jax.measures.mouth_landmarks import open_finder
from lumiere_jax.measures.summaries import summarise
from lumiere_jax.measures.transcripts import read_transcripts
from lumiere_jax.outputs import report
from lumiere_jax.outputs.report_samples import FRAMES, log_lines, sampled
from lumiere_jax.outputs.video import write_video
from lumiere_jax.runtime.output_folders import built_aside
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import Model, Run
from lumiere_jax.workflows.trained_model import load_model, record_of
from lumiere_jax.workflows.workdir import read_run
from lumiere_jax.workflows.workdir_checks import check_kind

VIDEO_SECONDS = 60


def evaluate(
    *,
    workdir: Path,
    data: Path,
    out: Path,
    split: str = "test",
    embedding: Path | None = None,
    references: Path | None = None,
    hypotheses: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Evaluates a trained workdir on a split and writes the report.

    Args:
      workdir: Trained workdir.
      data: Dataset, prepared as the one that the workdir was trained on.
      out: Folder of the report.
      split: Split to evaluate on.
      embedding: Face embedding network (ONNX), or embeddings (npz), for models of faces.
      references: Transcripts of the spoken sentences, one per line, for models of faces.
      hypotheses: A lip reader's transcripts of the made videos, in the order of `references`.

    Returns:
      Metrics by stage and name.

    Raises:
      UserError: the workdir, the data, the split, the output folder or a file is unusable.
    """
    if split not in SPLITS:
        raise UserError(f"--split={split}: choose one of {', '.join(SPLITS)}.")
    run, dataset = read_run(workdir), open_dataset(data)
    system = registry.of(run.config)
    check_kind(system, dataset, data, "--data")
    _check_fits(workdir, run, dataset, split)
    embed, measured = _brought(run, embedding, references, hypotheses)
    evaluation = system.evaluation
    with built_aside(out, report.METRICS) as folder:
        model = load_model(workdir)
        drawn = dataset.drawn_seed is not None
        with _finders(evaluation, drawn) as finders:
            pictures, parts = _measure(model, dataset, split, folder, finders, embed)
        _write_frames(folder / FRAMES, [s for s in dataset.segments if s.split == split], parts)
        metrics: dict[str, dict[str, Any]] = summarise(parts, tuple(evaluation.stages))
        for stage, values in (*evaluation.summarise(parts).items(), ("video", measured)):
            metrics[stage] |= values
        report.write_report(
            folder,
            report.Report(
                title=f"{printable(workdir.resolve().name)}: the {split} split",
                evaluation=evaluation,
                metrics=metrics,
                pictures=pictures,
                losses={name: log_lines(workdir / name) for name in model.steps},
                tracks=_tracks(parts[0]),
                fps=float(dataset.fps),
                facts=_facts(model, dataset, split),
                config=json.dumps(asdict(run.config), indent=1),
                drawn=drawn,
            ),
        )
    return metrics


def _brought(
    run: Run, embedding: Path | None, references: Path | None, hypotheses: Path | None
) -> tuple[Embed | None, dict[str, float]]:
    """Returns the face network, if any, and the numbers that follow from the user's files alone."""
    given = {"embedding": embedding, "references": references, "hypotheses": hypotheses}
    files = registry.of(run.config).evaluation.report_files
    if other := [name for name, path in given.items() if path and name not in files]:
        raise UserError(
            f"--{other[0]} goes with a model of faces, and '{run.config.system}' is none: leave it "
            "out."
        )
    if (references is None) != (hypotheses is None):
        raise UserError("name --references and --hypotheses together, or neither.")
    measured: dict[str, float] = {}
    if references and hypotheses:
        measured["word_error_rate"] = word_error_rate(*read_transcripts(references, hypotheses))
    if embedding is None:
        return None, measured
    if embedding.suffix.lower() == ".npz":
        distances = _both_kinds(content_distances(*read_embeddings(embedding)))
        return None, measured | {name: float(x.mean()) for name, x in distances.items()}
    return open_embedding(embedding), measured


def _check_fits(workdir: Path, run: Run, dataset: Dataset, split: str) -> None:
    for name, trained, given in (
        ("px", run.size, dataset.size),
        ("frames a second", run.fps, dataset.fps),
        ("figures", run.figure, dataset.figure),
    ):
        if trained != given:
            raise UserError(
                f"{workdir} was trained with {trained} {name} and {dataset.folder} has {given} "
                f"{name}: name the dataset that it was trained on, or one prepared alike."
            )
    if not dataset.frames(split):
        raise UserError(
            f"--split={split}: {dataset.folder} has no frames in it; choose another split."
        )


@contextmanager
def _finders(evaluation: Evaluation, drawn: bool) -> Iterator[Finders]:
    """Yields a keypoint finder for each kind of frames, since an estimator tracks one video.

    Yields None for the drawn lecturer, whose mouth has its own detector and ground truth. Where the
    estimator cannot start, prints a warning and yields None.
    """
    with ExitStack() as stack:
        finders = None
        if not drawn:
            try:
                names = ("real", *evaluation.judged)
                finders = {name: stack.enter_context(open_finder()) for name in names}
            except UserError as error:
                print(f"The mouth's motion is not measured. {error}", file=sys.stderr)
        yield finders


def _measure(
    model: Model,
    dataset: Dataset,
    split: str,
    folder: Path,
    finders: Finders,
    embed: Embed | None,
) -> tuple[list[report.Sample], list[Values]]:
    """Measures every frame of a split and writes the first segment's videos.

    Returns:
      The sampled moments' pictures, and each segment's values.
    """
    run, evaluation = model.run, model.system.evaluation
    segments, total = [s for s in dataset.segments if s.split == split], dataset.frames(split)
    follow = evaluation.follow(model, dataset, split, finders)
    chosen = set(sampled(total))
    samples: list[report.Sample] = []
    parts: list[Values] = []

    def followed(segment: Segment, kept: list[Values]) -> Iterator[np.ndarray]:
        for chunk in follow(segment):
            kept.append(chunk.values | (_face_distances(embed, chunk.pictures) if embed else {}))
            for i, frame in enumerate(chunk.pictures["spoken"]):
                if chunk.first + i in chosen:
                    pictures = {name: stack[i] for name, stack in chunk.pictures.items()}
                    seconds = (chunk.first + i) / float(dataset.fps)
                    samples.append(report.Sample(seconds=seconds, pictures=pictures))
                bar.update()
                yield frame

    with tqdm(total=total, desc=f"measuring {split}", unit="frame", dynamic_ncols=True) as bar:
        for segment in segments:
            kept: list[Values] = []
            frames = followed(segment, kept)
            if segment is segments[0]:
                _write_videos(model, dataset, split, segment, frames, folder)
            for _ in frames:
                pass
            parts.append({name: np.concatenate([v[name] for v in kept]) for name in kept[0]})
    if dataset.drawn_seed is not None:
        shuffled = evaluation.speak_shuffled(model, dataset, split)
        with tqdm(total=total, desc="shuffled audio", unit="frame", dynamic_ncols=True) as bar:
            for segment, part in zip(segments, parts, strict=True):
                frames, pieces = shuffled(segment), []
                while piece := list(itertools.islice(frames, BATCH)):
                    pieces.append(measure_aperture(np.stack(piece), run.geometry.aligned))
                    bar.update(len(piece))
                part["aperture.shuffled"] = np.concatenate(pieces)
    return samples, parts


def _face_distances(embed: Embed, pictures: Mapping[str, np.ndarray]) -> Values:
    """Computes faces' embedding distances from their still; NaN for the still among real frames."""
    (still,) = embed(pictures["still"][:1])
    made, real = (content_distances(still, embed(pictures[name])) for name in ("spoken", "frame"))
    itself = (pictures["frame"] == pictures["still"]).all((1, 2, 3))
    real = np.where(itself, np.nan, real)
    return named("video", {**_both_kinds(made), "real_face_distance": real})


def _both_kinds(distances: np.ndarray) -> Values:
    """Returns Euclidean distances of unit vectors, and the same as cosine distances."""
    return {"face_distance": distances, "face_distance_cosine": distances**2 / 2}


def _write_frames(path: Path, segments: list[Segment], parts: list[Values]) -> None:
    """Writes a CSV row of values for each frame; values that are not finite are empty."""
    names = [name for name, values in parts[0].items() if values.ndim == 1]
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["clip", "frame", *names])
        for segment, part in zip(segments, parts, strict=True):
            for t, row in enumerate(zip(*(part[name] for name in names), strict=True)):
                shown = [f"{value:.6g}" if np.isfinite(value) else "" for value in row]
                writer.writerow([segment.clip, segment.first + t, *shown])


def _write_videos(
    model: Model,
    dataset: Dataset,
    split: str,
    segment: Segment,
    spoken: Iterator[np.ndarray],
    folder: Path,
) -> None:
    """Writes videos of the segment's first minute, synthesised and real, with its sound."""
    count = min(segment.frames, int(VIDEO_SECONDS * dataset.fps))
    sound, records = dataset.sound(segment, count), dataset.records(split)
    real = (
        picture_bytes.decode(records[i]["frame"], dataset.shape)
        for i in range(segment.offset, segment.offset + count)
    )
    for name, frames, record in (
        (report.SYNTHESISED, itertools.islice(spoken, count), record_of(model)),
        (report.REAL, real, None),
    ):
        write_video(folder / name, frames, dataset.fps, [sound], RATE, 1, record=record)


def _tracks(values: Values) -> dict[str, np.ndarray]:
    """Returns the signals that the report plots: apertures, and the wrists' heights (upwards)."""
    tracks = {
        name: values[f"aperture.{name}"]
        for name in ("true", "real", "video")
        if f"aperture.{name}" in values
    }
    for name in ("real", "video"):
        if f"wrists.{name}" in values:
            for hand, side in enumerate(("left", "right")):
                tracks[f"{side}.{name}"] = 1 - values[f"wrists.{name}"][:, hand, 1]
    return tracks


def _facts(model: Model, dataset: Dataset, split: str) -> dict[str, str]:
    run = model.run
    seconds = dataset.frames(split) / float(dataset.fps)
    return {
        "Faces of" if run.geometry.aligned else "Lecturer": str(run.consent.get("who")),
        "Consent": f"{run.consent.get('when')}, for {run.consent.get('purpose')} "
        f"(record {consent_id(run.consent)})",
        "Model": f"{run.config.system}, {model.id}",
        "Pictures": f"{run.shape[1]} × {run.shape[0]}, {float(run.fps):g} a second",
        "Faces" if run.geometry.aligned else "Pose figures": dataset.figure,
        "Measured": f"{dataset.frames(split)} frames ({seconds:.1f} s) of the {split} split; "
        f"the model saw {dataset.frames('train')} frames of the train split",
        "Steps": ", ".join(f"{name} {step}" for name, step in model.steps.items()),
        "Made by": f"lumiere_jax {lumiere_jax.__version__}",
    }
