"""Room on the disk: asked for before a long run starts, and what is said where it ends in one.

A run is refused only where it surely does not fit; what it takes at most is said beforehand.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import jax

from lumiere_jax.audio.features import RATE
from lumiere_jax.errors import UserError, disk_is_full, is_disk_full, reason
from lumiere_jax.inputs.columns import Column
from lumiere_jax.inputs.resident import shown
from lumiere_jax.training import checkpoint, hosts
from lumiere_jax.training.reports import REPORTS, between_clips
from lumiere_jax.training.stage import Stage

T = TypeVar("T")

# Bytes of a pixel in a frame and its figure, at least and at most: 0.7 at 256 px to 1.8 at 64 px
# were measured. At most they are there twice, in pieces and archives or archives and dataset.
PIXEL_LEAST, PIXEL_MOST = 0.05, 2.5
# Bytes of a sample.
SAMPLE = 4
# A share of a checkpoint's numbers that compression leaves at least: 0.82 to 0.93 were measured.
COMPRESSED = 0.5
# A picture that hardly differs from the one before, its sound, and their places in the index.
STILL = 30
# Bytes of a video's pixel, at most, of which 0.04 at 128 px to 0.24 at 64 px were measured, and of
# a second of its sound, eight channels at 96 kHz.
VIDEO_MOST, SOUND_MOST = 0.25, 96_000
# Bytes for each pixel of a frame in a training's clip, as a video and in TensorBoard, and in its
# sheets of pictures, and of a clip's sound: 60 and 24 were measured.
CLIP, SHEET, CLIP_SOUND = 100, 40, 200_000


def check_space(folder: Path, least: int) -> int:
    """Bytes that are free where `folder` is, or will be.

    Raises:
      UserError: they are fewer than `least`.
    """
    place = folder.absolute()
    free = shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free
    if free < least:
        raise UserError(
            f"{folder} has {shown(free)} of free disk, and this takes {shown(least)} at the very "
            "least: make room, or name a folder on another disk."
        )
    return free


def checkpoint_bytes(stages: Iterable[Stage]) -> tuple[int, int]:
    """What training stages writes, at least and at most: the checkpoints that each keeps, and the
    one that is being written beside the largest."""
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    sizes = [
        sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
        for state in (checkpoint.abstract_state(stage, device) for stage in stages)
    ]
    return int(COMPRESSED * sum(sizes)), checkpoint.KEPT * sum(sizes) + max(sizes, default=0)


def training_bytes(stages: Iterable[Stage], size: int) -> tuple[int, int]:
    """What training stages at `size` pixels writes, at least and at most: checkpoints, and what
    there is to look at."""
    stages = list(stages)
    least, most = checkpoint_bytes(stages)
    clips = sum(stage.steps // between_clips(stage.steps) + 1 for stage in stages)
    sheets = (REPORTS + 2) * len(stages)
    return least, most + clips * (CLIP * size**2 + CLIP_SOUND) + sheets * SHEET * size**2


def video_bytes(frames: int, size: int, seconds: float) -> tuple[int, int]:
    """What a video takes, at least and at most."""
    return STILL * frames, int(VIDEO_MOST * frames * size**2 + SOUND_MOST * seconds)


def dataset_bytes(
    frames: int, size: int, fps: Fraction, columns: Iterable[Column], side: int = 0
) -> tuple[int, int]:
    """What preparing writes, at least (an interrupted run left the rest) and at most; faces are cut
    out of pictures of `side`."""
    pixels, sound = frames * size**2, int(frames / fps * RATE * SAMPLE)
    numbers = sound + frames * sum(column.size for column in columns if not column.is_picture)
    kept = int(PIXEL_MOST * frames * side**2)
    return int(PIXEL_LEAST * pixels), 2 * (int(PIXEL_MOST * pixels) + numbers) + kept


def ask_for(folder: Path, least: int, most: int) -> None:
    """`check_space`, and a line that says how much will be written."""
    free = check_space(folder, least)
    warning = "warning: " if most > free else ""
    hosts.say(f"{warning}{folder}: up to {shown(most)} to write, {shown(free)} are free.")


def while_there(items: Iterator[T], folder: Path) -> Iterator[T]:
    """The items, as long as `folder` is the one it was: Orbax would make the folders of a disk that
    was taken away anew, on the disk below.

    Raises:
      OSError: it is not.
    """
    before = folder.stat()
    for item in items:
        if not os.path.samestat(folder.stat(), before):
            raise FileNotFoundError(errno.ENOENT, "another is in its place", str(folder))
        yield item


@contextmanager
def written_into(folder: Path, parent: Path | None = None) -> Iterator[None]:
    """Says in a sentence where a disk filled up, was taken away or became read-only meanwhile.

    A folder that is not there yet has a `parent` that is. It is looked at in the end, too: writing
    into a folder of the same name on the disk below raises nothing.

    Raises:
      UserError: one of these befell it.
    """
    wrong, place = None, parent or folder
    place.mkdir(exist_ok=True)  # another host has just made it, which this one may not see yet
    # Some network disks number a folder anew unless it is held open.
    held = os.open(place, os.O_RDONLY)
    try:
        before = os.fstat(held)
        try:
            yield
        except UserError:
            if _is(place, before):
                raise
        except Exception as error:
            wrong = _happened(folder, place, before, error)
            if wrong is None:
                raise
        if wrong is None and not _is(place, before):
            there = "another is in its place" if os.path.exists(place) else "nothing is there"
            wrong = _gone(folder, there)
    finally:
        os.close(held)
    # Out here, where writes that were begun are let go of, and not at the program's end.
    if wrong:
        raise wrong


def _is(place: Path, before: os.stat_result) -> bool:
    """Whether a place is there, and the one that it was."""
    try:
        return os.path.samestat(place.stat(), before)
    except OSError:  # whichever way a disk is gone
        return False


def _happened(
    folder: Path, place: Path, before: os.stat_result, error: Exception
) -> UserError | None:
    """What befell the folder, if that is why something was raised."""
    if is_disk_full(error):
        return disk_is_full(folder)
    why = reason(error) if isinstance(error, OSError) else type(error).__name__
    if not _is(place, before):
        return _gone(folder, why)
    if isinstance(error, FileNotFoundError) and _lies_in(error.filename, place):
        return _gone(folder, why, "is gone, or files of it are")
    if not os.access(place, os.W_OK):
        return _gone(folder, why, "can be written no longer")
    return None


def _lies_in(name: object, place: Path) -> bool:
    if not isinstance(name, str | os.PathLike):
        return False
    path = Path(name).absolute()
    return place.absolute() in (path, *path.parents)


def _gone(folder: Path, why: str, what: str = "is gone") -> UserError:
    return UserError(
        f"{folder} {what} ({why}): bring its disk back and run this again; what was whole on it "
        "is not touched."
    )
