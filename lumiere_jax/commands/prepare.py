"""Preparation of datasets from footage, or of the drawn lecturer.

Flags and clips are checked first, and the dataset's folder appears only when it is complete.
"""

import functools
import shutil
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from tqdm import tqdm

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.clips.clip_plan import Footage, Source
from lumiere_jax.inputs.dataset import description, lectures, left_out_frames
from lumiere_jax.inputs.dataset.clip_archives import LEFT_OUT
from lumiere_jax.inputs.dataset.clips_table import read_clips
from lumiere_jax.inputs.dataset.columns import FIGURE
from lumiere_jax.inputs.dataset.consent import read_consent
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.segments import segments_by_split, segments_of
from lumiere_jax.inputs.poses import mediapipe
from lumiere_jax.inputs.poses.pose_folder import pose_folder
from lumiere_jax.measures.face_width import small_face
from lumiere_jax.paths import user_path
from lumiere_jax.runtime.disk_space import announce_space
from lumiere_jax.runtime.output_folders import built_aside
from lumiere_jax.runtime.worker_processes import cores, side_by_side
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import System
from lumiere_jax.workflows import beam
from lumiere_jax.workflows.dataset_assembly import check_lengths, check_place, finish
from lumiere_jax.workflows.disk_estimates import dataset_bytes
from lumiere_jax.workflows.drawn_dataset import prepare_synthetic
from lumiere_jax.workflows.footage_archives import (
    WHOLE,
    account,
    begun,
    make_archives,
    missing,
    sweep,
    tidy,
)
from lumiere_jax.workflows.footage_flags import (
    NTSC,
    check_figures,
    clips_by_name,
    parse_crop,
    parse_fps,
    probed_clips,
    system_for,
)

NTSC[Fraction(5994, 100)] = Fraction(60_000, 1001)


# Flags for the drawn lecturer only, for footage only, and those with file names.
DRAWN = ("minutes", "seed", "speakers")
FILMED = (
    *("consent", "figure", "poses", "clips", "crop", "fps", "workers", "beam_options"),
    "sound_track",
)
PATHS = ("out", "consent", "poses", "clips")


def prepare(given: Mapping[str, Any]) -> Dataset:
    """Validates prepare.py's flags and calls `prepare_footage` or `prepare_synthetic`.

    Args:
      given: Values of the flags that the user gave, by name.

    Raises:
      UserError: a flag is missing or invalid, and see `prepare_footage` and `prepare_synthetic`.
    """
    synthetic = given.get("synthetic", False)
    if not given.get("out") or bool(given.get("footage")) == synthetic:
        raise UserError("name --out, and either --footage or --synthetic, not both (see --help).")
    for name in FILMED if synthetic else DRAWN:
        if name in given:
            kind = "--footage" if synthetic else "--synthetic"
            raise UserError(f"--{name} goes with {kind}: leave it out.")
    if "beam_options" in given and "workers" in given:
        raise UserError("--workers are for this machine, --beam_options say where Beam works.")
    if given.get("align") not in (None, "face"):
        raise UserError(f"--align={given['align']}: write face, all that can be aligned.")
    chosen = system_for(given.get("system"), given.get("align"))
    own: dict[str, Any] = {k: user_path(f"--{k}", v) if k in PATHS else v for k, v in given.items()}
    if "speakers" in given and not chosen.geometry.aligned:
        raise UserError("--speakers goes with --align=face: leave it out.")
    if "explicit" in given and FIGURE not in chosen.columns:
        raise UserError(
            f"--explicit and --noexplicit are for figures, and '{chosen.name}' has none: leave "
            "them out."
        )
    for name in ("synthetic", "align"):
        own.pop(name, None)
    own["system"] = chosen
    return prepare_synthetic(**own) if synthetic else prepare_footage(**{"consent": None, **own})


def prepare_footage(
    *,
    footage: str,
    consent: Path | None,
    out: Path,
    figure: str = "mediapipe",
    explicit: bool = True,
    poses: Path | None = None,
    system: System | None = None,
    clips: Path | None = None,
    crop: str | None = None,
    size: int | None = None,
    fps: str | None = None,
    workers: int = 0,
    beam_options: str | None = None,
    sound_track: int | None = None,
) -> Dataset:
    """Makes a dataset from clips, with the pictures and columns that a system learns from.

    Args:
      footage: A clip's file, or a glob pattern.
      consent: The speakers' consent record.
      out: Folder of the dataset.
      figure: Source of the figures: mediapipe, densepose or openpose.
      explicit: Whether figures show eyes, lips and fingers.
      poses: Folder of DensePose's or OpenPose's results.
      system: System to prepare for; by default the registry's first.
      clips: Table of each clip's speaker and split.
      crop: Square X,Y,SIDE in pixels of the upright picture.
      size: Side of the dataset's pictures in pixels; by default the system's.
      fps: Frame rate; by default the system's.
      workers: Number of cores; 0 for all.
      beam_options: Apache Beam's options NAME=VALUE,NAME=VALUE; with them, Beam does the work.
      sound_track: Number of the sound track, from 1; by default the one with speech.

    Raises:
      UserError: a flag, the consent record, the table, a clip or the poses are unusable.
    """
    system = system or registry.default()
    geometry, columns = system.geometry, system.columns
    size = geometry.size if size is None else size
    rate, square, record = parse_fps(fps or geometry.fps), parse_crop(crop), read_consent(consent)
    check_place(out, size, geometry)
    check_figures(figure, explicit, poses, geometry)
    options = beam.parse_options(beam_options) if beam_options else None
    named = clips_by_name(footage)
    table = read_clips(clips, named) if clips else None
    probed = probed_clips(named, square, sound_track)
    frames = {clip.name: clip.frames(rate) for clip in probed}
    cut = (
        functools.partial(segments_by_split, splits=table.splits, speakers=table.speakers)
        if table
        else segments_of
    )
    check_lengths(cut(frames), footage, rate)
    footages = [
        Footage(
            clip=clip,
            figure=cast(Source, figure),
            size=size,
            fps=rate,
            crop=square,
            poses=pose_folder(poses, clip.name, figure, alone=len(probed) == 1) if poses else None,
            explicit=explicit,
            geometry=geometry,
            columns=columns,
        )
        for clip in probed
    ]
    side = max(footage.side for footage in footages) if geometry.aligned else 0
    announce_space(out, *dataset_bytes(sum(frames.values()), size, rate, columns, side))
    with built_aside(out, lectures.DESCRIPTION) as folder:
        kept = out.resolve().with_name(f".{out.resolve().name}.clips")
        try:
            _make_archives(kept, footages, workers or len(cores()), options)
            codes = {n: np.fromfile(kept / WHOLE / n / LEFT_OUT, np.uint8) for n in frames}
            for line in left_out_frames.report(codes, named, rate):
                tqdm.write(line)
            try:
                left_out_frames.check(codes, named, rate)
                stay = cut(frames, kept={n: left_out_frames.stretches(c) for n, c in codes.items()})
                check_lengths(stay, f"{footage}, without what is left out,", rate, "more footage")
            except UserError:
                shutil.rmtree(kept)  # a retry needs other footage or another crop
                raise
            planned = lectures.unmeasured(
                folder=folder,
                size=size,
                fps=rate,
                figure=geometry.scheme or description.figure_scheme(figure, explicit),
                geometry=geometry,
                columns=columns,
                segments=tuple(stay),
                consent=record,
            )
            finish(planned, kept / WHOLE, options)
            left_out_frames.write(folder / left_out_frames.FILE, codes, rate)
            shutil.rmtree(kept)
        finally:
            tidy(kept)
    dataset = lectures.open_dataset(out)
    if small := small_face(dataset):
        tqdm.write(
            f"warning: {out}: {small}: frame the speaker closer with --crop=X,Y,SIDE, or take a "
            f"larger --size (now {size})."
        )
    return dataset


def _make_archives(kept: Path, footages: list[Footage], workers: int, options: Any) -> None:
    sweep(kept, footages)
    todo = missing(kept, footages)
    if not todo:
        return
    if todo[0].figure == "mediapipe":
        mediapipe.install()
    kept.mkdir(exist_ok=True)
    if options is not None:
        beam.make_on_beam(kept, todo, options)
        return
    going_on, begin = begun(kept), time.monotonic()
    with side_by_side(workers, 2 * sum(footage.frames for footage in todo)) as run:
        busy = make_archives(kept, todo, run)
    if not going_on:  # in a resumed run the seconds do not cover all frames
        tqdm.write(account(busy, todo, time.monotonic() - begin, workers))
