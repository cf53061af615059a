"""Live sound from standard input or a device, each block with its time of arrival."""

import os
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import av.error
import numpy as np

from lumiere_jax.audio.level_and_band import Heard
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.sound.sound_tracks import RATE

STDIN = "-"
# FFmpeg's input devices for sound.
DEVICES = ("alsa", "avfoundation", "dshow", "openal", "oss", "pulse", "sndio")
READ_BYTES = 1 << 16
# Blocks that may wait; a reader further behind is no longer live.
WAITING = 1024


@dataclass
class Ear:
    """A queue of live sound, filled by a listening thread.

    Sound that arrives before `open` is set is dropped; `missed` counts its samples.
    """

    open: threading.Event = field(default_factory=threading.Event)
    missed: int = 0
    _blocks: Any = field(default_factory=queue.SimpleQueue)
    _room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(WAITING))

    def heard(self) -> Iterator[Heard]:
        """Yields blocks as they arrive, until the sound ends or `stop`; re-raises its errors."""
        while (item := self._blocks.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            self._room.release()
            yield item

    def stop(self) -> None:
        """Ends `heard` after the blocks that have arrived; safe in a signal handler."""
        self._blocks.put(None)

    def listen(self, source: Iterable[np.ndarray]) -> None:
        """Queues every block of a source, stamped on arrival even if it has to wait."""
        try:
            for samples in source:
                arrived = time.monotonic()
                if self.open.is_set():
                    self._room.acquire()
                    self._blocks.put((arrived, samples))
                else:
                    self.missed += len(samples)
            self._blocks.put(None)
        except BaseException as error:
            self._blocks.put(error)


def listen(audio: str) -> Ear:
    """Starts listening to standard input or to one of FFmpeg's devices.

    Args:
        audio: `-` for raw 16-bit mono at 16 kHz on standard input, or DEVICE:NAME.

    Raises:
        UserError: `audio` is neither, nothing is piped in, or the device cannot be opened.
    """
    device, _, name = audio.partition(":")
    if audio == STDIN:
        if sys.stdin.isatty():
            raise UserError("--audio=-: nothing is piped in; pipe sound, as --help shows.")
        source = read_raw(sys.stdin.fileno())
    elif device in DEVICES and name:
        source = read_device(device, name)
    else:
        raise UserError(
            f"--audio={audio}: --live hears - (standard input) or a device such as alsa:default; "
            "leave --live out for a file."
        )
    ear = Ear()
    # A daemon: live sound may never end, and must not keep the process alive.
    threading.Thread(target=ear.listen, args=(source,), name="ear", daemon=True).start()
    return ear


def read_raw(descriptor: int) -> Iterator[np.ndarray]:
    """Yields float32 samples from little-endian 16-bit ones as soon as they arrive."""
    half = b""
    while data := os.read(descriptor, READ_BYTES):
        data = half + data
        whole = len(data) // 2 * 2
        half = data[whole:]
        if whole:
            yield np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(2**15)


def read_device(device: str, name: str) -> Iterator[np.ndarray]:
    """Opens an FFmpeg input device at once; returns an iterator of its mono samples at 16 kHz."""
    # The ALSA in PyAV's wheels looks for its settings where the wheel was built.
    os.environ.setdefault("ALSA_CONFIG_PATH", "/usr/share/alsa/alsa.conf")
    try:
        container = av.open(name, format=device)
    except (av.error.FFmpegError, ValueError) as error:
        raise UserError(
            f"--audio={device}:{name}: the device cannot be opened ({error}); pipe its sound "
            "instead, as --help shows."
        ) from error

    def samples() -> Iterator[np.ndarray]:
        resampler = av.AudioResampler("flt", "mono", RATE)
        with container:
            for frame in container.decode(audio=0):
                for part in resampler.resample(frame):
                    yield part.to_ndarray()[0]

    return samples()
