"""Sound of any rate, channel count and sample format, as float32 blocks."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import numpy as np
from jaxtyping import Float

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.containers import Track, decoded, open_track

Samples = Float[np.ndarray, "samples channels"]

RATE = 16_000
# What a header may promise beyond what is there before the file counts as cut off.
SHORTFALL = Fraction(1, 10)
# Resampling a rate far from 16 kHz wants a filter of gigabytes.
SLOWEST, FASTEST, CHANNELS = 1000, 768_000, 64
# Seconds: every frame of them would be made, whether time stamps lie or a file of silence is small.
LONGEST = 24 * 3600
# Gaps in the sound's time stamps that are longer (seconds) are known to be unheard.
GAP = Fraction(1, 10)
# Kinds of frames that a track may change between before it starts anew with them.
KINDS = 8
# Numbers of floating point may be anything; in the scale of 16-bit ones they are the largest.
LOUDEST = 2.0**15


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A narration: its native rate in Hz, its channels and its exact number of samples."""

    path: Path
    rate: int
    channels: int
    samples: int
    truncated: bool = False

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


class Block(NamedTuple):
    """Samples in [-1, 1] and the time of the first, in seconds on the file's clock."""

    time: Fraction | None
    rate: int
    samples: np.ndarray


@dataclass(frozen=True)
class Extent:
    """Where a sound track begins and ends on the file's clock, by decoding all of it. `gaps` are
    the times between which its stamps leave out more than a tenth of a second."""

    start: Fraction
    end: Fraction
    rate: int
    channels: int
    samples: int
    damaged: bool
    gaps: tuple[tuple[Fraction, Fraction], ...] = ()


def probe_audio(path: str | Path) -> Sound:
    """What a narration holds, in any format PyAV reads; the sound of a video is a narration too.

    All of it is decoded once: headers of compressed sound tell the length only roughly.

    Raises:
        UserError: no such file, empty, not media, no sound, sound that cannot be decoded or goes on
            for over a day, a rate or a number of channels that no sound has.
    """
    extent = sound_extent(path)
    return Sound(
        path=Path(path),
        rate=extent.rate,
        channels=extent.channels,
        samples=extent.samples,
        truncated=extent.damaged,
    )


def read_sound(path: str | Path) -> Iterator[Samples]:
    """All samples of a narration at its native rate and channels, in [-1, 1], as a stream."""
    probe_audio(path)

    def stream() -> Iterator[np.ndarray]:
        with open_track(path, "audio") as track:
            for block in blocks(track):
                yield block.samples

    return stream()


def to_mono(
    sound: Iterable[np.ndarray], sound_rate: int, rate: int = RATE
) -> Iterator[Float[np.ndarray, " samples"]]:
    """Mean of the channels, resampled: n samples give exactly ceil(n · rate / sound_rate)."""
    resampler = av.AudioResampler("fltp", "mono", rate)
    taken = given = 0
    for block in sound:
        mono = block.mean(axis=1, dtype=np.float32)
        if not mono.size:
            continue
        if rate == sound_rate:
            yield mono
            continue
        frame = av.AudioFrame.from_ndarray(mono[None], "fltp", "mono")
        frame.sample_rate, frame.time_base, frame.pts = sound_rate, Fraction(1, sound_rate), taken
        taken += mono.size
        for out in resampler.resample(frame):
            given += out.samples
            yield out.to_ndarray()[0]
    if taken:
        missing = -(-taken * rate // sound_rate) - given
        tail = [out.to_ndarray()[0] for out in resampler.resample(None)]
        rest = np.concatenate([*tail, np.zeros(max(missing, 0), np.float32)])
        yield rest[:missing]


def sound_extent(path: str | Path) -> Extent:
    """Decode a file's sound once to know where it begins and ends (remembered)."""
    path = Path(path)
    stat = path.stat() if path.exists() else None
    return _sound_extent(path, stat and (stat.st_size, stat.st_mtime_ns))


@functools.lru_cache(maxsize=256)
def _sound_extent(path: Path, version: tuple[int, int] | None) -> Extent:
    with open_track(path, "audio") as track:
        start = end = None
        samples = rate = channels = 0
        gaps = []
        for block in blocks(track):
            samples += len(block.samples)
            if samples > LONGEST * block.rate:
                raise UserError(f"{path}: its sound goes on for over a day; cut it.")
            time = end if block.time is None else block.time
            time = Fraction(0) if time is None else time
            start = time if start is None else start
            if end is not None and time > end + GAP:
                gaps.append((end, time))
            end = max(end or time, time + Fraction(len(block.samples), block.rate))
            rate, channels = block.rate, block.samples.shape[1]
        if start is None or end is None or not samples:
            if track.damaged:
                raise UserError(
                    f"{path}: its sound cannot be decoded (protected or damaged); export it again."
                )
            raise UserError(f"{path}: its sound has zero length; record it again.")
        promised = track.declared_end()
        short = promised is not None and end + SHORTFALL < promised
        return Extent(start, end, rate, channels, samples, track.damaged or short, tuple(gaps))


def blocks(track: Track) -> Iterator[Block]:
    """Decoded sound, all of it at the rate and channels with which it begins."""
    first = None
    converters = {}
    for frame in decoded(track):
        first = first or _sane(track.path, frame)
        time, kind = track.time(frame.pts), _kind(frame)
        # Broadcasts change between programmes; and PyAV 18 crashes on eight planes or more.
        if kind[1:] == _kind(first)[1:] and (kind[2] < 8 or not frame.format.is_planar):
            yield Block(time, first.sample_rate, _samples(frame))
            continue
        if kind not in converters:
            _sane(track.path, frame)
            if len(converters) == KINDS:
                converters.clear()
            converters[kind] = av.AudioResampler("flt", first.layout.name, first.sample_rate)
        try:
            parts = converters[kind].resample(frame)
        except (av.error.FFmpegError, ValueError):
            track.damaged = True
            continue
        for part in parts:
            yield Block(time, first.sample_rate, _samples(part))
            time = None


def _sane(path: Path, frame: av.AudioFrame) -> av.AudioFrame:
    rate, channels = frame.sample_rate, frame.layout.nb_channels
    if not SLOWEST <= rate <= FASTEST or not 1 <= channels <= CHANNELS:
        raise UserError(
            f"{path}: its sound has {channels} channels at {rate} Hz; export it with at most "
            f"{CHANNELS} channels, at {SLOWEST} to {FASTEST} Hz."
        )
    return frame


def _kind(frame: av.AudioFrame) -> tuple[str, int, int]:
    return frame.format.name, frame.sample_rate, frame.layout.nb_channels


def _samples(frame: av.AudioFrame) -> np.ndarray:
    """(samples, channels) in [-1, 1] from any sample format."""
    x = frame.to_ndarray()
    x = x.T if frame.format.is_planar else x.reshape(-1, frame.layout.nb_channels)
    if x.dtype == np.uint8:
        return (x.astype(np.float32) - 128) / 128
    if np.issubdtype(x.dtype, np.integer):
        return x.astype(np.float32) / np.float32(2 ** (8 * x.dtype.itemsize - 1))
    x = np.nan_to_num(x, posinf=0, neginf=0)
    return np.clip(x, -LOUDEST, LOUDEST).astype(np.float32)
