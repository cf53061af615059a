"""Sound as it arrives, from standard input or a device, with the moment of its arrival."""

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

from lumiere_jax.audio.listening import Heard
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.sound.sound_tracks import RATE

STDIN = "-"
# FFmpeg's devices that sound can come from.
DEVICES = ("alsa", "avfoundation", "dshow", "openal", "oss", "pulse", "sndio")
READ_BYTES = 1 << 16
# Blocks that may wait; who is further behind has lost touch anyway.
WAITING = 1024


@dataclass
class Ear:
    """What a listening thread has heard. Sound that comes before `open` is set is left out."""

    open: threading.Event = field(default_factory=threading.Event)
    missed: int = 0
    _blocks: Any = field(default_factory=queue.SimpleQueue)
    _room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(WAITING))

    def heard(self) -> Iterator[Heard]:
        """Blocks as they come, until the sound ends or `stop`; raises what listening raised."""
        while (item := self._blocks.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            self._room.release()
            yield item

    def stop(self) -> None:
        """Ends `heard` after what has come; a signal's handler may call it."""
        self._blocks.put(None)

    def listen(self, source: Iterable[np.ndarray]) -> None:
        """Hears all of a source; what is not heard at once is stamped all the same."""
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
    """Listens to `-` (raw 16-bit mono at 16 kHz on standard input) or to a DEVICE:NAME of FFmpeg's.

    Raises:
        UserError: neither, nothing is piped, or the device cannot be opened.
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
    # A daemon: nobody waits for the end of a sound that has none.
    threading.Thread(target=ear.listen, args=(source,), name="ear", daemon=True).start()
    return ear


def read_raw(descriptor: int) -> Iterator[np.ndarray]:
    """Samples from little-endian 16-bit ones, as soon as they can be read."""
    half = b""
    while data := os.read(descriptor, READ_BYTES):
        data = half + data
        whole = len(data) // 2 * 2
        half = data[whole:]
        if whole:
            yield np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(2**15)


def read_device(device: str, name: str) -> Iterator[np.ndarray]:
    """Samples from one of FFmpeg's input devices, which is opened here and now."""
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
