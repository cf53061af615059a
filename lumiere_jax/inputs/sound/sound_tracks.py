"""The sound of a file: which track is used, its extent, and its samples."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import Float

from lumiere_jax.audio.level_and_band import above_rumble
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.media.containers import best, open_media, tracks
from lumiere_jax.inputs.media.sound_headers import cut_off
from lumiere_jax.inputs.media.timestamps import open_steady
from lumiere_jax.inputs.sound.sound_blocks import Block, blocks
from lumiere_jax.inputs.sound.voice import Voice

Samples = Float[np.ndarray, "samples channels"]

RATE = 16_000
# Seconds by which a header may overstate the length before the file counts as cut off.
SHORTFALL = Fraction(1, 10)
# Longest sound in seconds. Every frame of it is made, but wrong time stamps or a small file of
# silence may claim any length.
LONGEST = 24 * 3600
# Longer gaps in time stamps (seconds) count as missing sound.
GAP = Fraction(1, 10)
# Longer gaps (seconds) are pauses of a narration; shorter ones are rounding or lost packets.
PAUSE = 1
# A track is audible if its power is at least this share of the loudest track's.
AUDIBLE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A narration: its native rate in Hz, its channels and its exact number of samples.

    `track`, from 1, is its number among the file's `tracks`; `mix` is as in `to_mono`.
    """

    path: Path
    rate: int
    channels: int
    samples: int
    truncated: bool = False
    track: int = 1
    tracks: int = 1
    mix: tuple[float, ...] = ()

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples / self.rate

    def __fspath__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, kw_only=True)
class Extent:
    """Extent and loudness of a sound track, measured by decoding all of it.

    Attributes:
        start: Seconds on the file's clock, as is `end`.
        samples: Number of samples, silence for gaps of over a second included.
        damaged: Whether some of it cannot be decoded, or the file is cut off.
        gaps: Times between which the time stamps leave out more than a tenth of a second.
        mix: As in `to_mono`.
        speech: Resemblance to speech, as `Voice.speech`.
        power: Power of the loudest stretch in the band of speech.
    """

    start: Fraction
    end: Fraction
    rate: int
    channels: int
    samples: int
    damaged: bool
    gaps: tuple[tuple[Fraction, Fraction], ...]
    mix: tuple[float, ...]
    speech: float
    power: float


def probe_audio(path: str | Path, sound_track: int | None = None) -> Sound:
    """Measures a narration, in any format that PyAV reads, or the sound of a video.

    All of it is decoded once, since headers of compressed sound give only a rough length.

    Args:
        sound_track: Number of the track, from 1; by default the track with speech.

    Raises:
        UserError: no such file, empty, not media, no sound, sound that cannot be decoded or goes on
            for over a day, a rate or a number of channels that no sound has, no such track.
    """
    number, count, extent = sound_extent(path, sound_track)
    return Sound(
        path=Path(path),
        rate=extent.rate,
        channels=extent.channels,
        samples=extent.samples,
        truncated=extent.damaged,
        track=number,
        tracks=count,
        mix=extent.mix,
    )


def track_message(track: int, tracks: int) -> str:
    """Returns the message that names the sound track used and how to choose another."""
    return f"sound track {track} of {tracks} is used; --sound_track=N takes another."


def read_sound(source: str | Path | Sound) -> Iterator[Samples]:
    """Streams all samples of a narration at its native rate and channels, in [-1, 1].

    Gaps of over a second in its time stamps become silence of the same length.
    """
    sound = source if isinstance(source, Sound) else probe_audio(source)

    def stream() -> Iterator[np.ndarray]:
        with open_steady(sound.path, "audio", sound.track) as track:
            yield from _paused(blocks(track))

    return stream()


def heard(sound: Sound) -> Iterator[Float[np.ndarray, " samples"]]:
    """Streams a narration as systems hear it: mono at 16 kHz, without rumble below speech."""
    return above_rumble(to_mono(read_sound(sound), sound.rate, mix=sound.mix))


def to_mono(
    sound: Iterable[np.ndarray], sound_rate: int, rate: int = RATE, mix: Sequence[float] = ()
) -> Iterator[Float[np.ndarray, " samples"]]:
    """Mixes channels to mono and resamples: n samples give exactly ceil(n · rate / sound_rate).

    Args:
        sound: Blocks (samples, channels).
        mix: Weights of the channels in their sum; empty for their mean.
    """
    resampler = av.AudioResampler("fltp", "mono", rate)
    weights = np.asarray(mix, np.float32)
    taken = given = 0
    for block in sound:
        mono = block @ weights if len(weights) else block.mean(axis=1, dtype=np.float32)
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


def sound_extent(path: str | Path, sound_track: int | None = None) -> tuple[int, int, Extent]:
    """Returns the number of the track to use, the number of tracks, and the track's extent.

    Every track considered is decoded once; results are cached.

    Raises:
        UserError: there is no such track, or its sound cannot be decoded.
    """
    path = Path(path)
    stat = path.stat() if path.exists() else None
    version = stat and (stat.st_size, stat.st_mtime_ns)
    usual, count = _numbers(path, version)
    if sound_track is not None and not 1 <= sound_track <= count:
        raise UserError(
            f"{path}: there is no --sound_track={sound_track}: this file has {count} sound "
            f"{'track' if count == 1 else 'tracks'}, counted from 1."
        )
    if sound_track is not None or count == 1:
        number = sound_track or usual
        return number, count, _sound_extent(path, version, number)
    return _with_speech(path, version, usual, count)


def _with_speech(path: Path, version: Any, usual: int, count: int) -> tuple[int, int, Extent]:
    """Chooses the players' default track, unless another is far more like speech.

    Tracks that cannot be decoded are skipped.
    """
    extents, failed = {}, {}
    for number in (usual, *(n for n in range(1, count + 1) if n != usual)):
        try:
            extents[number] = _sound_extent(path, version, number)
        except UserError as error:
            failed[number] = error
    if not extents:
        raise failed[usual]
    loudest = max(extent.power for extent in extents.values())
    speech = {n: e.speech if e.power >= AUDIBLE * loudest else 0.0 for n, e in extents.items()}
    number = next(n for n in extents if speech[n] >= max(speech.values()) / 2)
    return number, count, extents[number]


@functools.lru_cache(maxsize=256)
def _numbers(path: Path, version: tuple[int, int] | None) -> tuple[int, int]:
    """Returns the number, from 1, of the players' default sound track, and how many there are."""
    with open_media(path) as container:
        streams = tracks(container, "audio")
        if not streams:
            return 1, 1  # which is an error wherever it is opened
        return streams.index(best(container, "audio")) + 1, len(streams)


@functools.lru_cache(maxsize=256)
def _sound_extent(path: Path, version: tuple[int, int] | None, number: int) -> Extent:
    with open_steady(path, "audio", number) as track:
        start = end = voice = None
        samples = rate = channels = 0
        gaps = []
        for block in blocks(track):
            time = end if block.time is None else block.time
            time = Fraction(0) if time is None else time
            start = time if start is None else start
            if end is not None and time > end + GAP:
                gaps.append((end, time))
                samples += _pause(time - end, block.rate)
            samples += len(block.samples)
            if samples > LONGEST * block.rate:
                raise UserError(f"{path}: its sound goes on for over a day; cut it.")
            end = max(end or time, time + Fraction(len(block.samples), block.rate))
            rate, channels = block.rate, block.samples.shape[1]
            voice = voice or Voice(rate, channels)
            voice.hear(block.samples)
        if start is None or end is None or voice is None or not samples:
            if track.damaged:
                raise UserError(
                    f"{path}: its sound cannot be decoded (protected or damaged); export it again."
                )
            raise UserError(f"{path}: its sound has zero length; record it again.")
        promised = track.declared_end()
        short = promised is not None and end + SHORTFALL < promised
        return Extent(
            start=start,
            end=end,
            rate=rate,
            channels=channels,
            samples=samples,
            damaged=track.damaged or short or cut_off(path),
            gaps=tuple(gaps),
            mix=voice.mix,
            speech=voice.speech,
            power=voice.power,
        )


def _paused(stream: Iterable[Block]) -> Iterator[np.ndarray]:
    """Yields the samples of blocks, with silence where times leave out more than a second."""
    end = None
    for time, rate, samples in stream:
        time = end if time is None else time
        if time is not None:
            left = _pause(time - end, rate) if end is not None else 0
            while left:
                yield np.zeros((min(left, rate), samples.shape[1]), np.float32)
                left -= min(left, rate)
            end = max(end or time, time + Fraction(len(samples), rate))
        yield samples


def _pause(gap: Fraction, rate: int) -> int:
    """Returns the number of silent samples for a gap in seconds; 0 for gaps that are no pauses."""
    return round(gap * rate) if PAUSE < gap <= LONGEST else 0
