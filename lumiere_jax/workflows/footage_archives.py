"""Clip archives from footage, made piece by piece; a new run reuses an interrupted run's pieces."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.clips.archived_pieces import draw
from lumiere_jax.inputs.clips.clip_plan import PIECE_SECONDS, Busy, Footage, Tick, made_whole, spend
from lumiere_jax.inputs.clips.posed_pieces import pose
from lumiere_jax.inputs.clips.settling import choose, settle
from lumiere_jax.inputs.dataset import clip_archives
from lumiere_jax.inputs.footage import reading
from lumiere_jax.runtime.worker_processes import Run

FORMAT = 3
"""Version of the archives and pieces; changing it discards existing ones."""
WHOLE, PARTS, KEY = "whole", "parts", "key"
PARTS_OF_SPEECH = {
    "decode": ("decodes", "decoding"),
    "estimate": ("estimates", "estimating"),
    "draw": ("draws", "drawing"),
    "write": ("writes", "encoding and writing"),
}


def key(footage: Footage) -> str:
    """Returns a hash of everything that determines a clip's archive."""
    files = [footage.clip.path, *(sorted(footage.poses.iterdir()) if footage.poses else ())]
    stats = [(str(f.resolve()), (stat := f.stat()).st_size, stat.st_mtime_ns) for f in files]
    columns = [(c.described(), _name_of(c.fill)) for c in footage.columns]
    own = {f.name: getattr(footage, f.name) for f in dataclasses.fields(footage)}
    given = own | {"columns": columns, "format": FORMAT, "files": stats}
    return hashlib.sha256(json.dumps(given, default=str, sort_keys=True).encode()).hexdigest()


def _name_of(fill: Any) -> str:
    """A function's name, which two processes print alike."""
    name = getattr(fill, "__qualname__", None)
    return f"{fill.__module__}.{name}" if name else repr(fill)


def sweep(kept: Path, footages: Sequence[Footage]) -> None:
    """Removes archives and pieces of other clips or other flags, and half-written pieces."""
    keys = {footage.name: key(footage) for footage in footages}
    for folder in [*kept.glob(f"{WHOLE}/*"), *kept.glob(f"{PARTS}/*")]:
        named = folder / KEY
        if folder.is_dir() and (not named.is_file() or named.read_text() != keys.get(folder.name)):
            shutil.rmtree(folder)
    for folder in kept.glob(f"{PARTS}/**/.*/"):
        shutil.rmtree(folder)


def tidy(kept: Path) -> None:
    """Removes folders that hold no archive and no complete piece."""
    for folder in kept.glob(f"{PARTS}/*"):
        if not any(path.is_dir() and path.name[0] != "." for path in folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (kept / WHOLE, kept / PARTS, kept):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def missing(kept: Path, footages: Sequence[Footage]) -> list[Footage]:
    """Returns the clips without an archive."""
    return [footage for footage in footages if not (kept / WHOLE / footage.name).is_dir()]


def begun(kept: Path) -> bool:
    """Whether an earlier run has left complete pieces."""
    return any(kept.glob(f"{PARTS}/*/*-*"))


def make_archives(kept: Path, footages: Sequence[Footage], run: Run) -> Busy:
    """Makes the missing archives, `kept/whole/<name>`.

    Each picture advances the progress bar twice: when its pose is estimated and when it is drawn.

    Args:
      kept: Existing folder of archives and pieces.
      footages: Clips to archive.
      run: Maps a function over tasks.

    Returns:
      Seconds spent in each part of the work, summed over workers.

    Raises:
      UserError: see `pose` and `settle`.
    """
    todo = missing(kept, footages)
    # Without parents: after an unmount, `kept` would be created again below the mount point.
    for folder in (kept / WHOLE, kept / PARTS):
        folder.mkdir(exist_ok=True)
    posed = {footage.name: _folders(kept, footage, "posed") for footage in todo}
    drawn = {footage.name: _folders(kept, footage, "drawn") for footage in todo}
    settled = {footage.name: _parts(kept, footage) / "settled" for footage in todo}
    for footage in todo:
        _parts(kept, footage).mkdir(exist_ok=True)
        (_parts(kept, footage) / KEY).write_text(key(footage))
    tasks = [
        (footage, piece, folder, None)
        for footage in todo
        for piece, folder in zip(footage.pieces, posed[footage.name], strict=True)
    ]
    done = run(pose, tasks)
    done += _follow_one_person(todo, posed, run)
    run(_settle, [(f, posed[f.name], settled[f.name]) for f in todo])
    done += run(
        draw,
        [
            (f, number, posed[f.name], settled[f.name], folder)
            for f in todo
            for number, folder in enumerate(drawn[f.name])
        ],
    )
    run(_join, [(f, drawn[f.name], settled[f.name], kept) for f in todo])
    busy: Busy = {}
    for one in done:
        for part, seconds in one.items():
            spend(busy, part, seconds)
    return busy


def _parts(kept: Path, footage: Footage) -> Path:
    return kept / PARTS / footage.name


def _folders(kept: Path, footage: Footage, what: str) -> list[Path]:
    return [_parts(kept, footage) / f"{what}-{first}" for first, _ in footage.pieces]


def _follow_one_person(todo: list[Footage], posed: dict[str, list[Path]], run: Run) -> list[Busy]:
    """Estimates poses again in pieces that followed another person than the clip's."""
    tasks = []
    for footage in todo:
        if footage.figure == "mediapipe":
            chosen, others = choose(footage, posed[footage.name])
            for number in others:
                folder = posed[footage.name][number]
                shutil.rmtree(folder)
                tasks.append((footage, footage.pieces[number], folder, chosen))
    return run(_pose_anew, tasks)


def _pose_anew(footage, piece, folder, choices, tick: Tick) -> Busy:
    return pose(footage, piece, folder, choices, lambda _: None)


def _settle(footage: Footage, posed: list[Path], folder: Path, tick: Tick) -> None:
    try:
        settle(footage, posed, folder, tick)
    except UserError:
        # A retry needs another crop or other poses, which invalidates every piece of this clip.
        shutil.rmtree(folder.parent)
        raise


def _join(footage: Footage, drawn: list[Path], settled: Path, kept: Path, tick: Tick) -> None:
    with made_whole(kept / WHOLE / footage.name) as made:
        shutil.copy(settled / clip_archives.LEFT_OUT, made)
        clip_archives.join(made, drawn, reading.read_audio(footage.clip))
        (made / KEY).write_text(key(footage))
    shutil.rmtree(_parts(kept, footage))


def account(busy: Busy, footages: Sequence[Footage], seconds: float, workers: int) -> str:
    """Returns a sentence with each part's frames per second per core, and the slowest part."""
    frames = sum(footage.frames for footage in footages)
    pieces = sum(len(footage.pieces) for footage in footages)
    rates = [
        f"{PARTS_OF_SPEECH[part][0]} {frames / spent:.0f}"
        for part, spent in busy.items()
        if part in PARTS_OF_SPEECH and spent > 0
    ]
    most = max(busy, key=lambda part: busy[part])
    bound = PARTS_OF_SPEECH[most][1]
    share = busy[most] / sum(busy.values())
    remedy = "more cores (--workers) help"
    if pieces < workers:
        remedy = (
            f"the footage is {pieces} {'piece' if pieces == 1 else 'pieces'} of about "
            f"{PIECE_SECONDS} s, so more cores do not help"
        )
    return (
        f"{frames} frames in {seconds:.0f} s, {frames / seconds:.1f} a second with {workers} "
        f"{'worker' if workers == 1 else 'workers'}. A worker {', '.join(rates)} frames a second; "
        f"{bound} takes {share:.0%} of its time and bounds it: {remedy}."
    )
