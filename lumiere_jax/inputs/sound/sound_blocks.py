"""Decoded sound of any rate, channels and sample format, as float32 blocks with their times."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import numpy as np

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.media.containers import Track, decoded

# Resampling a rate far from 16 kHz needs a filter of gigabytes.
SLOWEST, FASTEST, CHANNELS = 1000, 768_000, 64
# Converters held for a track's frame formats; one format more, and all are discarded.
KINDS = 8
# Float samples may hold any value; files use scales up to the range of 16-bit integers.
LOUDEST = 2.0**15


class Block(NamedTuple):
    """Samples in [-1, 1] and the time of the first, in seconds on the file's clock."""

    time: Fraction | None
    rate: int
    samples: np.ndarray


def blocks(track: Track) -> Iterator[Block]:
    """Yields decoded sound, all of it at the rate and channels of the first frame."""
    first = None
    converters = {}
    for frame in decoded(track):
        first = first or _sane(track.path, frame)
        time, kind = track.time(frame.pts), _kind(frame)
        # Broadcasts change format between programmes; PyAV 18 crashes on eight or more planes.
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
    """Converts a frame of any sample format to float32 (samples, channels) in [-1, 1]."""
    x = frame.to_ndarray()
    x = x.T if frame.format.is_planar else x.reshape(-1, frame.layout.nb_channels)
    if x.dtype == np.uint8:
        return (x.astype(np.float32) - 128) / 128
    if np.issubdtype(x.dtype, np.integer):
        return x.astype(np.float32) / np.float32(2 ** (8 * x.dtype.itemsize - 1))
    x = np.nan_to_num(x, posinf=0, neginf=0)
    return np.clip(x, -LOUDEST, LOUDEST).astype(np.float32)
