"""Properties of a file of footage, found before any of it is read."""

import functools
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.media.colours import wide_colours
from lumiere_jax.inputs.media.containers import ENTERED, SMALLEST, Track, decode, packets
from lumiere_jax.inputs.media.picture_bytes import LARGEST
from lumiere_jax.inputs.media.timestamps import open_steady
from lumiere_jax.inputs.media.upright_pictures import Crop, coded, pixel_aspect
from lumiere_jax.inputs.sound.sound_tracks import GAP, LONGEST, SHORTFALL, sound_extent

# Containers such as Matroska round time stamps to milliseconds.
ROUNDING = Fraction(1, 1000)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Properties of a file of footage.

    Attributes:
        rows: Height of the upright picture (rotation applied, pixels made square).
        cols: Width of the same.
        seconds: Length of the common time axis.
        start: Zero of the common time axis on the file's own clock.
        entry: Decoding can begin at every `entry` seconds or sooner (inf: at the start alone).
        name: Name in a dataset; empty for the file's name without its ending.
        unheard: Stretches of the common time axis, in seconds, without sound: before it starts, and
            gaps of more than a tenth of a second in its time stamps.
        picture_from: Seconds at which the first picture appears.
        treatments: How frames are converted, if HDR, wide-gamut or interlaced.
        sound_track: Number, from 1, among the file's `sound_tracks`.
        mix: As in `to_mono`.
    """

    path: Path
    rows: int
    cols: int
    seconds: float
    sample_rate: int
    channels: int
    truncated: bool = False
    start: float = 0.0
    entry: float = math.inf
    name: str = ""
    unheard: tuple[tuple[float, float], ...] = ()
    picture_from: float = 0.0
    treatments: tuple[str, ...] = ()
    sound_track: int = 1
    sound_tracks: int = 1
    mix: tuple[float, ...] = ()

    def frames(self, fps: Fraction) -> int:
        """Returns exactly how many frames `read_frames` yields."""
        return math.floor((Fraction(self.seconds) + ROUNDING) * fps)


def probe(path: str | Path, sound_track: int | None = None) -> Clip:
    """Measures a clip: decodes the sound and counts the picture's packets; results are cached.

    Args:
        sound_track: Number of the sound track, from 1; by default the one with speech.

    Raises:
        UserError: no such file, not media, no sound, no picture, zero length, a picture under
            64 or over 8192 pixels on a side, protected or undecodable contents, no such
            sound track.
    """
    path = Path(path)
    stat = path.stat() if path.exists() else None
    return _probe(path, stat and (stat.st_size, stat.st_mtime_ns), sound_track)


@functools.lru_cache(maxsize=256)
def _probe(path: Path, version: tuple[int, int] | None, sound_track: int | None) -> Clip:
    with open_steady(path, "video") as track:
        rows, cols, start, end, entry, treatments = _survey(track)
        promised = track.declared_end()
        damaged = track.damaged or (promised is not None and end + SHORTFALL < promised)
    number, count, sound = sound_extent(path, sound_track)
    damaged = damaged or sound.damaged
    zero, seconds = min(start, sound.start), min(end, sound.end) - min(start, sound.start)
    if min(end, sound.end) <= max(start, sound.start):
        raise UserError(f"{path}: picture and sound never play together; export the clip again.")
    if seconds > LONGEST:
        raise UserError(
            f"{path}: its time stamps go on for {float(seconds):.0f} s, over a day; "
            "export it again, or cut it."
        )
    late = [(zero, sound.start)] if sound.start > zero + GAP else []
    return Clip(
        path=path,
        rows=rows,
        cols=cols,
        seconds=float(seconds),
        sample_rate=sound.rate,
        channels=sound.channels,
        truncated=damaged,
        start=float(zero),
        entry=math.inf if damaged else float(entry),
        unheard=tuple((float(a - zero), float(b - zero)) for a, b in (*late, *sound.gaps)),
        picture_from=float(start - zero),
        treatments=treatments,
        sound_track=number,
        sound_tracks=count,
        mix=sound.mix,
    )


def _survey(
    track: Track,
) -> tuple[int, int, Fraction, Fraction, Fraction | float, tuple[str, ...]]:
    """Measures the picture's track.

    Returns:
        Rows and cols of the upright picture, time of the first decodable picture, end of the last
        one, most seconds between key frames, and treatments of the frames.
    """
    path, aspect = track.path, pixel_aspect(track)
    check_size(path, track.stream.codec_context, aspect)
    first = last = None
    stamps = duration = 0
    earliest = key = None
    apart = 0
    for packet in packets(track):
        if first is None:
            first = next(iter(decode(track, packet)), None)
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None or packet.is_discard:
            continue
        stamps += 1
        if packet.is_keyframe:
            apart, key = max(apart, stamp - (stamp if key is None else key)), stamp
        earliest = stamp if earliest is None else min(earliest, stamp)
        if last is None or stamp >= last:
            last, duration = stamp, packet.duration or 0
    if first is None:
        first = next(iter(decode(track, None)), None)
    if first is None:
        raise UserError(
            f"{path}: its picture "
            + (
                "cannot be decoded; export it again."
                if stamps
                else "has zero length; record it again."
            )
        )
    check_size(path, first, aspect)
    try:
        rows, cols = coded(first, aspect).shape[:2]
    except ValueError as error:
        raise UserError(
            f"{path}: its picture cannot be used ({error}); export it again."
        ) from error
    if min(rows, cols) < SMALLEST:
        raise UserError(
            f"{path}: the picture is {cols}x{rows}, under {SMALLEST} pixels on a side; "
            "use footage of a larger size."
        )
    start = track.time(first.pts) or Fraction(0)
    if last is None:
        return rows, cols, start, start, math.inf, _treatments(first)
    if not duration:
        duration = (last - earliest) / (stamps - 1) if stamps > 1 else 0
    end = track.time(last) + Fraction(duration) * Fraction(track.stream.time_base)
    formats = set(track.container.format.name.split(","))
    entered = key is not None and not track.moves and ENTERED & formats
    every = track.time(max(apart, last - key)) if entered else math.inf
    return rows, cols, start, end, every, _treatments(first)


def _treatments(frame: Any) -> tuple[str, ...]:
    colours = wide_colours(frame)
    wide = (colours.treatment,) if colours else ()
    woven = ("interlaced footage: deinterlaced, one picture a frame",)
    return wide + (woven if frame.interlaced_frame else ())


def check_size(path: Path, picture: Any, aspect: Fraction) -> None:
    """Raises a UserError for a picture, or a header, over 8192 square pixels on a side."""
    cols, rows = round(picture.width * aspect), picture.height
    if max(cols, rows) > LARGEST:
        raise UserError(
            f"{path}: the picture is {cols}x{rows}, over {LARGEST} pixels on a side; "
            "scale it down first."
        )
    if rows and not cols:
        raise UserError(f"{path}: its pixels are {1 / aspect} times as high as wide; export it.")


def check_crop(clip: Clip, crop: Crop) -> None:
    """Raises a UserError for a crop that is outside the picture or under 64 pixels on a side."""
    inside = (
        min(crop.x, crop.y) >= 0
        and crop.x + crop.side <= clip.cols
        and crop.y + crop.side <= clip.rows
    )
    if not inside or crop.side < SMALLEST:
        raise UserError(
            f"{clip.path}: the crop {crop.x},{crop.y},{crop.side} (x, y, side) does not fit the "
            f"picture of {clip.cols}x{clip.rows} pixels; name a square of at least {SMALLEST} "
            "pixels inside it."
        )
