"""Footage, or the drawn lecturer, to a dataset: checked first, built aside, put in place whole."""

import functools
import glob
import itertools
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from tqdm import tqdm

from lumiere_jax.audio.features import RATE, frames_within
from lumiere_jax.errors import UserError, shortened
from lumiere_jax.inputs import archive, lectures, media, synthetic
from lumiere_jax.inputs.archive import Example
from lumiere_jax.inputs.consent import read_consent
from lumiere_jax.inputs.lectures import FASTEST, SIZES, SLOWEST, Dataset
from lumiere_jax.inputs.poses import Footage, Source, Tick, mediapipe
from lumiere_jax.inputs.poses.folders import pose_folder
from lumiere_jax.inputs.segments import SPLITS, Segment, longest, place_segments, segments_of
from lumiere_jax.inputs.sound import probe_audio, read_sound, to_mono
from lumiere_jax.workflows import beam
from lumiere_jax.workflows.clips import WHOLE, account, begun, make_archives, missing, sweep, tidy
from lumiere_jax.workflows.dataset import finish
from lumiere_jax.workflows.folders import built_aside
from lumiere_jax.workflows.framing import small_face
from lumiere_jax.workflows.space import ask_for, dataset_bytes
from lumiere_jax.workflows.workers import cores, side_by_side

# Frames of which a twentieth, the share to validate on, are three.
SHORTEST = 60
# Bytes of a clip's name, without what follows its dot; most disks allow 255 with what is added.
LONGEST_NAME = 200
NTSC = {Fraction(n, 1000): Fraction(r * 1000, 1001) for n, r in ((23976, 24), (29970, 30))}
NTSC[Fraction(5994, 100)] = Fraction(60_000, 1001)


def parse_fps(text: str) -> Fraction:
    """A frame rate such as 30, 29.97 (which means 30000/1001) or 30000/1001."""
    # No exponents: a fraction of a billion digits takes as long to make.
    if not re.fullmatch(r"\d{1,9}(\.\d{0,9}|/0*[1-9]\d{0,8})?", text):
        raise UserError(f"--fps={shortened(text)}: write a frame rate such as 30 or 29.97.")
    fps = Fraction(text)
    if not SLOWEST <= fps <= FASTEST:
        raise UserError(f"--fps={text}: use a frame rate from {SLOWEST} to {FASTEST}.")
    return NTSC.get(fps, fps)


def parse_crop(text: str | None) -> media.Crop | None:
    """A square X,Y,SIDE in pixels of the upright picture."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(re.fullmatch(r"\d{1,9}", p) for p in parts) or not int(parts[2]):
        wanted = "write X,Y,SIDE in whole pixels, such as 0,420,1080."
        raise UserError(f"--crop={shortened(text)}: {wanted}")
    return media.Crop(*map(int, parts))


def prepare_footage(
    *,
    footage: str,
    consent: Path | None,
    out: Path,
    figure: str = "mediapipe",
    explicit: bool = True,
    poses: Path | None = None,
    crop: str | None = None,
    size: int = 256,
    fps: str = "30",
    workers: int = 0,
    beam_options: str | None = None,
) -> Dataset:
    """Makes a dataset of the clips that the pattern `footage` names, on `workers` cores (0: all),
    or through Beam, by its options NAME=VALUE,NAME=VALUE.

    Raises:
      UserError: anything about the flags, the consent record, the clips or the poses.
    """
    rate, square, record = parse_fps(fps), parse_crop(crop), read_consent(consent)
    _check(out, size)
    if figure not in get_args(Source):
        raise UserError(f"--figure={figure}: choose one of {', '.join(get_args(Source))}.")
    if (figure == "mediapipe") != (poses is None):
        raise UserError(
            f"--figure={figure} needs --poses, the folder of its results."
            if poses is None
            else "--poses goes with --figure=densepose or openpose: MediaPipe makes its own."
        )
    if not explicit and figure != "mediapipe":
        raise UserError(f"--noexplicit goes with --figure=mediapipe, not {figure}: leave it out.")
    options = beam.parse_options(beam_options) if beam_options else None
    clips = _probe_all(footage, square)
    segments = segments_of({clip.path.stem: clip.frames(rate) for clip in clips})
    _check_lengths(segments, footage, rate)
    footages = [
        Footage(
            clip=clip,
            figure=cast(Source, figure),
            size=size,
            fps=rate,
            crop=square,
            poses=pose_folder(poses, clip.path, figure, alone=len(clips) == 1) if poses else None,
            explicit=explicit,
        )
        for clip in clips
    ]
    ask_for(out, *dataset_bytes(sum(s.frames for s in segments), size, rate))
    with built_aside(out, lectures.DESCRIPTION) as folder:
        kept = out.resolve().with_name(f".{out.resolve().name}.clips")
        try:
            _make_archives(kept, footages, workers or len(cores()), options)
            scheme = lectures.figure_scheme(figure, explicit)
            finish(folder, kept / WHOLE, segments, size, rate, scheme, record, None, options)
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


def prepare_synthetic(
    *,
    out: Path,
    minutes: float | None = None,
    size: int = 128,
    seed: int = 0,
    explicit: bool = True,
) -> Dataset:
    """Makes a dataset of the drawn lecturer: narration one trains, narration two tests.

    `minutes` repeats the first narration with new gestures until they are full.
    """
    _check(out, size)
    if minutes is not None and not 0.1 <= minutes <= 600:
        raise UserError(f"--minutes={minutes}: use 0.1 to 600.")
    if seed < 0:
        raise UserError(f"--seed={seed}: use 0 or more.")
    fps = Fraction(30)
    first, second = (read_narration(synthetic.narration(name)) for name in ("first", "second"))
    takes = max(1, math.ceil((minutes or 0) * 60 * RATE / len(first)))
    scripts = [(f"first-{take}", first, take) for take in range(takes)] + [("second", second, 0)]
    if minutes is not None:
        keep = int(minutes * 60 * RATE) - (takes - 1) * len(first)
        scripts[takes - 1] = (scripts[takes - 1][0], first[:keep], takes - 1)
    parts: dict[str, list[tuple[str, int, int]]] = {split: [] for split in SPLITS}
    for name, waveform, _ in scripts:
        count = frames_within(len(waveform), fps)
        cut = 0 if name == "second" else count * 95 // 100
        parts["train"].append((name, 0, cut))
        parts["test" if name == "second" else "val"].append((name, cut, count - cut))
    segments = place_segments(parts)
    _check_lengths(segments, f"--minutes={minutes}", fps)
    record = {
        "who": f"nobody: a lecturer drawn by lumiere_jax (seed {seed})",
        "when": "1970-01-01",
        "purpose": "demonstration and tests",
    }
    ask_for(out, *dataset_bytes(sum(s.frames for s in segments), size, fps))
    with built_aside(out, lectures.DESCRIPTION) as folder:
        archives = folder / "clips"
        archives.mkdir()
        tasks = [(script, archives / script[0]) for script in scripts]
        work = functools.partial(_write_drawn, size=size, seed=seed, fps=fps, explicit=explicit)
        with side_by_side(min(2, len(tasks)), sum(s.frames for s in segments)) as run:
            run(work, tasks)
        scheme = lectures.figure_scheme("drawn", explicit)
        finish(folder, archives, segments, size, fps, scheme, record, seed)
        shutil.rmtree(archives)
    return lectures.open_dataset(out)


def read_narration(path: Path) -> np.ndarray:
    """A short narration whole, mono at 16 kHz."""
    return np.concatenate(list(to_mono(read_sound(path), probe_audio(path).rate)))


def _check(out: Path, size: int) -> None:
    if size not in SIZES:
        raise UserError(f"--size={size}: use one of {', '.join(map(str, SIZES))}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not out.is_dir():
            raise UserError(f"--out={out} is a file: name another folder.")
        what = "a dataset already" if (out / lectures.DESCRIPTION).exists() else "other files"
        raise UserError(f"--out={out} holds {what}: remove it, or name another folder.")


def _probe_all(footage: str, crop: media.Crop | None) -> list[media.Clip]:
    # A name may hold brackets, which a pattern would read as a choice.
    paths = [Path(footage)] if Path(footage).exists() else sorted(map(Path, glob.glob(footage)))
    if not paths:
        raise UserError(
            f"--footage={footage}: no such file; quote a pattern such as 'talks/*.mp4'."
        )
    clips = [media.probe(path) for path in paths]
    stems = [clip.path.stem for clip in clips]
    if twin := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise UserError(f"--footage={footage}: two clips are named '{twin}'; rename one of them.")
    for clip in clips:
        # Folders and files are named after it, with a little before and behind.
        if clip.path.stem in (".", "..") or len(os.fsencode(clip.path.stem)) > LONGEST_NAME:
            raise UserError(
                f"{clip.path}: a clip gives its folder a name; rename it to one of 1 to "
                f"{LONGEST_NAME} letters before the dot."
            )
        if crop is not None:
            media.check_crop(clip, crop)
        if clip.truncated:
            tqdm.write(f"{clip.path} is cut off: the {clip.seconds:.1f} s that are whole are used.")
    return clips


def _check_lengths(segments: list[Segment], what: str, fps: Fraction) -> None:
    for split in SPLITS:
        frames = longest(segments, split)
        if frames < lectures.TRIPLET:
            raise UserError(
                f"{what} is too short: its '{split}' split has {frames} frames in a row and needs "
                f"{lectures.TRIPLET}; give a clip of at least {math.ceil(SHORTEST / fps)} seconds."
            )


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
    if not going_on:  # otherwise the seconds are not those of all frames
        tqdm.write(account(busy, todo, time.monotonic() - begin, workers))


def _write_drawn(
    script: tuple[str, np.ndarray, int],
    path: Path,
    tick: Tick,
    *,
    size: int,
    seed: int,
    fps: Fraction,
    explicit: bool,
) -> None:
    _, waveform, take = script

    def examples() -> Iterator[Example]:
        drawn = synthetic.draw_lecture(waveform, fps, size, seed, take, explicit=explicit)
        for d in itertools.islice(drawn, frames_within(len(waveform), fps)):
            tick(1)
            yield Example(d.frame, d.figure, d.keypoints, d.aperture)

    archive.write_clip(path, examples(), [waveform])
