"""Footage of any kind as pictures at one frame rate and sound at one sample rate.

Picture and sound share one time axis. Its zero is the start of the track that starts first;
the other is padded in front (its first picture repeated, silence). It ends with the track that
ends first. Everything is streamed, so memory does not grow with the length of a clip.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from av import VideoFrame
from jaxtyping import Float, Int

from lumiere_jax.audio.level_and_band import above_rumble
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.footage.probing import ROUNDING, Clip, check_crop, check_size, probe
from lumiere_jax.inputs.media.containers import Track, decoded, decoded_from
from lumiere_jax.inputs.media.interlacing import deinterlaced
from lumiere_jax.inputs.media.timestamps import open_steady
from lumiere_jax.inputs.media.upright_pictures import Crop, pixel_aspect, squares
from lumiere_jax.inputs.sound.sound_tracks import (
    RATE,
    Block,
    blocks,
    to_mono,
)
from lumiere_jax.shapes import Picture

# Sound is shifted where its time stamps differ from the sample count by more than this (seconds).
STEP = Fraction(1, 50)
# Where a frame samples the picture, in frames after its start: away from the boundaries of
# source frames at the same, twice or half the rate, so that rounded stamps drop or repeat none.
SAMPLED_AT = Fraction(1, 4)


def read_frames(
    source: str | Path | Clip, fps: Fraction, size: int, crop: Crop | None = None
) -> Iterator[tuple[int, Picture]]:
    """Yields (index of source picture, size x size RGB) for each frame of the common time axis.

    Frame t shows the source picture that is on the screen at (t + 1/4) / fps. Without a crop
    the short side is resized to `size` and the centre square taken, as in section 4.1 of Kim
    and Ganapathi 2019. Where the end of a damaged file cannot be decoded, the last decodable
    picture is repeated, so there are always `probe(path).frames(fps)` frames. A `Clip` is not
    probed again.

    Raises:
        UserError: as `probe`, a crop outside the picture, a clip shorter than a frame.
    """
    frames = read_sizes(source, fps, (size,), crop)
    return ((index, pictures[0]) for index, pictures in frames)


def read_sizes(
    source: str | Path | Clip,
    fps: Fraction,
    sizes: Sequence[int],
    crop: Crop | None = None,
    first: int = 0,
    stop: int | None = None,
) -> Iterator[tuple[int, list[Picture]]]:
    """Reads as `read_frames`, each picture at several sizes, for frames `first` to `stop` - 1.

    Decoding begins at a key frame shortly before the first where the file allows it; the index
    counts the source pictures from there.
    """
    clip = _probed(source)
    if crop is not None:
        check_crop(clip, crop)
    stop = _count(clip, fps) if stop is None else stop
    return _scaled(clip, _shown(clip, fps, first, stop), sizes, crop)


def read_sources(source: str | Path | Clip, fps: Fraction) -> Int[np.ndarray, " frames"]:
    """The index of the source picture of every frame."""
    clip = _probed(source)
    shown = _shown(clip, fps, 0, _count(clip, fps))
    return np.fromiter((index for index, _, _ in shown), np.int64)


def _probed(source: str | Path | Clip) -> Clip:
    return source if isinstance(source, Clip) else probe(source)


def _count(clip: Clip, fps: Fraction) -> int:
    count = clip.frames(fps)
    if not count:
        raise UserError(
            f"{clip.path}: the clip is shorter than one frame ({clip.seconds:.3f} s); "
            "use a longer one."
        )
    return count


def _scaled(
    clip: Clip,
    shown: Iterable[tuple[int, VideoFrame, Fraction]],
    sizes: Sequence[int],
    crop: Crop | None,
) -> Iterator[tuple[int, list[Picture]]]:
    before, pictures = None, []
    for index, frame, aspect in shown:
        if index != before:
            check_size(clip.path, frame, aspect)
            try:
                before, pictures = index, squares(frame, aspect, sizes, crop)
            except ValueError as error:
                raise UserError(
                    f"{clip.path}: picture {index} is of another size or kind than the first "
                    f"({error}); export it again."
                ) from error
        yield index, [picture.copy() for picture in pictures]


def _shown(
    clip: Clip, fps: Fraction, first: int, stop: int
) -> Iterator[tuple[int, VideoFrame, Fraction]]:
    """Yields index, picture and pixel aspect of the source picture at frames first to stop - 1."""
    zero, t = Fraction(clip.start), first
    with _opened(clip, zero + (first + SAMPLED_AT) / fps if first else None) as (track, frames):
        aspect = pixel_aspect(track)
        shown, index = None, -1
        for frame in frames:
            time = track.shown_at(frame)
            while shown is not None and time is not None and zero + (t + SAMPLED_AT) / fps < time:
                yield index, shown, aspect
                t += 1
                if t == stop:
                    return
            shown, index = frame, index + 1
        if shown is None:
            raise UserError(f"{clip.path}: its picture cannot be decoded; export it again.")
        while t < stop:
            yield index, shown, aspect
            t += 1


@contextlib.contextmanager
def _opened(clip: Clip, time: Fraction | None) -> Iterator[tuple[Track, Iterator[VideoFrame]]]:
    """Yields the picture's track and its frames, from before `time` on where that is possible."""
    if time is not None and clip.entry < math.inf:
        with open_steady(clip.path, "video") as track:
            track.stream.thread_type = "AUTO"
            if (frames := decoded_from(track, time)) is not None:
                yield track, deinterlaced(frames)
                return
    with open_steady(clip.path, "video") as track:
        track.stream.thread_type = "AUTO"
        yield track, deinterlaced(decoded(track))


def read_audio(
    source: str | Path | Clip, rate: int = RATE
) -> Iterator[Float[np.ndarray, " samples"]]:
    """Streams a clip's sound as mono blocks in [-1, 1] on the time axis of `read_frames`.

    Starts at the same zero and lasts for every frame; gaps in its time stamps become silence.
    Rumble below speech is removed.

    Raises:
        UserError: as `probe`.
    """
    return _sounding(_probed(source), rate)


def _sounding(clip: Clip, rate: int) -> Iterator[np.ndarray]:
    wanted = math.ceil((Fraction(clip.seconds) + ROUNDING) * rate)
    with open_steady(clip.path, "audio", clip.sound_track) as track:
        stepped = _in_step(blocks(track), Fraction(clip.start), clip.channels)
        for block in above_rumble(to_mono(stepped, clip.sample_rate, rate, clip.mix)):
            yield block[:wanted]
            wanted -= min(len(block), wanted)
            if not wanted:
                return
    while wanted:
        yield np.zeros(min(wanted, rate), np.float32)
        wanted -= min(wanted, rate)


def _in_step(stream: Iterable[Block], zero: Fraction, channels: int) -> Iterator[np.ndarray]:
    """Places timed samples on one axis: fills gaps with silence and cuts overlaps."""
    done = 0
    for time, rate, samples in stream:
        late = 0 if time is None else round((time - zero) * rate) - done
        if done and abs(late) <= STEP * rate:
            late = 0
        while late > 0:
            silence = np.zeros((min(late, rate), channels), np.float32)
            yield silence
            done, late = done + len(silence), late - len(silence)
        samples = samples[-late:] if late else samples
        done += len(samples)
        yield samples
