"""Media files as PyAV opens them: one track at a time, damage noted instead of raised."""

import collections
import contextlib
import errno
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import av.stream
from av.container import InputContainer

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.media import mp4_atoms, sound_headers
from lumiere_jax.inputs.media.picture_bytes import LARGEST

# Formats of footage and narrations, by FFmpeg's names. Left out are 300 more that it reads:
# playlists, which name other files, texts as pictures, and rarities that nobody maintains.
FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,dv,eac3,flac,flv,matroska,mov,mp3,mpc,mpc8,"
    "mpeg,mpegts,mxf,nut,ogg,tak,tta,w64,wav,wv"
)
SMALLEST = 64
# Formats whose header states the file's length; elsewhere lengths are estimates.
DECLARING = {"aiff", "avi", "flac", "matroska", "mov", "w64", "wav"}
# Formats with an index of key frames and reliable time stamps, so reading can begin in the middle.
ENTERED = {"matroska", "mov"}
# Formats that mark a packet as corrupt where a counter jumps, as it does where files are joined;
# in these the mark is ignored.
COUNTED = {"mpegts"}
# Seconds to seek before a time: pictures that are coded before a key frame and shown before it may
# lack the pictures that they refer to.
EARLIER = Fraction(1)
BUFFER = 1 << 18
# Limits a decoder's memory, since headers may state any size.
DECODING = {"max_pixels": str(LARGEST**2)}
# PyAV 18 raises an error for tags outside UTF-8 by default; 19 always escapes them.
TAGS: dict[str, Any] = (
    {} if int(av.__version__.split(".")[0]) > 18 else {"metadata_errors": "ignore"}
)
NAMES = {"video": "picture", "audio": "sound"}


@dataclass
class Track:
    """One stream of an open file.

    Attributes:
        damaged: Set while reading, once a part cannot be read whole.
        delay: For AVI, decoding time less display time of the first picture.
        moves: Packets, counted from 0, and the seconds added to time stamps from each of them on.
    """

    path: Path
    container: InputContainer
    stream: Any  # a VideoStream or an AudioStream
    damaged: bool = False
    delay: int | None = None
    moves: tuple[tuple[int, Fraction], ...] = ()

    def damage(self) -> None:
        """Marks the track as damaged."""
        self.damaged = True

    def time(self, stamp: int | None) -> Fraction | None:
        """Converts a time stamp to seconds on the file's own clock."""
        base = self.stream.time_base
        return stamp * Fraction(base) if base and stamp is not None else None

    def shown_at(self, picture: av.VideoFrame) -> Fraction | None:
        """Returns the seconds at which a picture appears; called once for each, in order."""
        if self.container.format.name != "avi" or None in (picture.dts, picture.pts):
            return self.time(picture.pts)
        # AVI keeps decoding times only, and FFmpeg's guesses for H.264 run backwards at B-frames.
        if self.delay is None:
            self.delay = picture.dts - picture.pts
        return self.time(picture.dts - self.delay)

    def declared_end(self) -> Fraction | None:
        """Returns the track's end as the header states it; None where that is unreliable."""
        names = set(self.container.format.name.split(","))
        if self.moves or not DECLARING & names:  # joined files have the header of the first
            return None
        start = self.time(self.stream.start_time) or Fraction(0)
        if "mov" in names and start > 0:
            # FFmpeg's duration includes the empty edit before a late track, unlike other edits.
            start = Fraction(0)
        # FFmpeg estimates a cut AVI's duration anew; the frame count is still the header's.
        avi = "avi" in names
        if length := self.stream.frames if avi else self.stream.duration:
            return start + self.time(length)
        if spoken := tag(self.stream, "DURATION"):  # Matroska's tag of a track
            with contextlib.suppress(ValueError):
                hours, minutes, seconds = spoken.strip("\0").split(":")
                return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
        return None


def tag(part: Any, name: str) -> str:
    """Returns a tag of a container or stream without bytes outside UTF-8; "" if it is missing."""
    return part.metadata.get(name, "").encode(errors="surrogateescape").decode(errors="ignore")


@contextlib.contextmanager
def open_media(path: str | Path) -> Iterator[InputContainer]:
    """Opens a file by its content, never by its name, and never follows it to other files.

    Raises:
        UserError: no such file, not a file, unreadable, empty, or not media.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: there is no such file; check the path.")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise UserError(f"{path}: this is {kind}, not a media file; name a file.")
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check its rights.") from error
    with file:
        if not file.read(1):
            raise UserError(f"{path}: the file is empty (0 bytes); copy or record it again.")
        if mp4_atoms.promises_too_much(file):
            raise _not_media(path)
        # The file is already open, so no protocol is needed, and none is allowed: FFmpeg cannot
        # follow references to other files.
        options = {
            "protocol_whitelist": "none",
            "format_whitelist": FORMATS,
            "ignore_chapters": "1",
        }
        try:
            container = av.open(
                sound_headers.mended(file),
                options=DECODING,
                container_options=options,
                buffer_size=BUFFER,
                **TAGS,
            )
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise _not_media(path) from error
        with container:
            yield container


def _not_media(path: Path) -> UserError:
    return UserError(
        f"{path}: this is not a media file that can be read; "
        "if it should be one, it was cut off or damaged: copy or export it again."
    )


@contextlib.contextmanager
def open_track(path: str | Path, kind: str, number: int | None = None) -> Iterator[Track]:
    """Opens the best "video" or "audio" track of a file, or track `number`, from 1.

    Raises:
        UserError: as `open_media`, no such track, or one that cannot be decoded.
    """
    with open_media(path) as container:
        streams = tracks(container, kind)
        if not streams:
            other = "audio" if kind == "video" else "video"
            only = f", only {NAMES[other]}" if tracks(container, other) else ""
            raise UserError(
                f"{path}: there is no {NAMES[kind]} in this file{only}; choose a file that has it."
            )
        stream = best(container, kind) if number is None else streams[number - 1]
        if stream.codec_context is None:
            raise UserError(
                f"{path}: its {NAMES[kind]} is coded in a way that cannot be decoded (protected or "
                "unknown); export it as H.264 with AAC."
            )
        for other in container.streams:
            if other is not stream:
                other.discard = av.stream.Discard.all
        stream.codec_context.options = DECODING
        yield Track(Path(path), container, stream)


def tracks(container: InputContainer, kind: str) -> list[Any]:
    """Returns the "video" or "audio" streams of a file; a cover picture is not a video."""
    cover = av.stream.Disposition.attached_pic
    return [s for s in getattr(container.streams, kind) if not s.disposition & cover]


def best(container: InputContainer, kind: str) -> Any:
    """Returns the stream that players choose, or the first that can be decoded."""
    streams = tracks(container, kind)
    usual = container.streams.best(kind)
    usable = [s for s in streams if s.codec_context is not None] or streams
    return usual if usual in usable else usable[0]


def demuxed(
    path: Path, container: InputContainer, streams: Iterable[Any], broken: Callable[[], None]
) -> Iterator[av.Packet]:
    """Yields the packets of streams; calls `broken` if the container breaks off before its end.

    Raises:
        UserError: the disk cannot be read.
    """
    try:
        yield from (packet for packet in container.demux(*streams) if packet.size)
    except IndexError:
        pass  # At the end PyAV looks for streams that appeared after the file was opened.
    except av.error.FFmpegError:
        broken()
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: a place outside the file
            raise UserError(
                f"{path}: cannot be read any more ({error.strerror}); check its disk."
            ) from error
        broken()


def packets(track: Track) -> Iterator[av.Packet]:
    """Yields the undamaged packets of a track, up to its end or to where the container breaks off.

    Raises:
        UserError: the file is encrypted, or the disk cannot be read.
    """
    moves, moved = collections.deque(track.moves), 0
    read = demuxed(track.path, track.container, [track.stream], track.damage)
    for count, packet in enumerate(read):
        if packet.has_sidedata("encryption_info"):
            raise UserError(
                f"{track.path}: the file is protected (encrypted); use an unprotected copy."
            )
        while moves and moves[0][0] <= count:
            moved = moves.popleft()[1]
        if packet.is_corrupt and track.container.format.name not in COUNTED:
            track.damage()
        else:
            yield _moved(packet, moved)


def _moved(packet: av.Packet, seconds: Fraction | int) -> av.Packet:
    if seconds:
        ticks = round(seconds / Fraction(packet.time_base))
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks
    return packet


def decoded(track: Track) -> Iterator[Any]:
    """Yields the frames of a track in display order, without those that cannot be decoded."""
    for packet in packets(track):
        yield from decode(track, packet)
    yield from decode(track, None)


def decoded_from(track: Track, time: Fraction) -> Iterator[Any] | None:
    """Returns the frames from a key frame before the one shown at `time`; None if there is none."""
    early = (time - EARLIER) / Fraction(track.stream.time_base)
    try:
        track.container.seek(math.floor(early), stream=track.stream)
    except (av.error.FFmpegError, OSError, OverflowError):
        return None
    frames = decoded(track)
    head = next(frames, None)
    shown = head and track.shown_at(head)
    return itertools.chain([head], frames) if shown is not None and shown <= time else None


def decode(track: Track, packet: av.Packet | None) -> list:
    """Decodes a packet, or flushes on None; on damage, marks the track and returns no frames."""
    try:
        return track.stream.codec_context.decode(packet)
    except (av.error.FFmpegError, ValueError):
        track.damage()
        return []
