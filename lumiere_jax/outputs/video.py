"""MP4 videos of pictures and sound, marked as synthetic, and their metadata records."""

import contextlib
import fcntl
import itertools
import json
import secrets
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from jaxtyping import Float

from lumiere_jax.errors import UserError, disk_is_full, is_disk_full, reason
from lumiere_jax.files import put_in_place
from lumiere_jax.inputs.media.containers import open_media, tag
from lumiere_jax.outputs.credentials import Credentials, sign
from lumiere_jax.outputs.mark import marked
from lumiere_jax.shapes import Picture

Samples = Float[np.ndarray, "samples channels"]

AAC_RATES = (
    7350,
    8000,
    11025,
    12000,
    16000,
    22050,
    24000,
    32000,
    44100,
    48000,
    64000,
    88200,
    96000,
)
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
BT709 = 1
ENCODERS = ("libx264", "aac")
# Bits per sample, and most bits per second, of a channel. Without the limit 44.1 kHz would get
# 176 kbit/s, where 96 are enough.
AAC_BITS, AAC_MOST = 4, 96_000
# Most characters of a comment that can be a record.
LONGEST = 1 << 16
UNFINISHED = ".unfinished-"


def check_writable(path: str | Path) -> Path:
    """Creates an output video's folder and tests it, before the expensive work.

    Raises:
      UserError: the name does not end in .mp4 or is a folder's, the folder is not writable, or an
        encoder is missing.
    """
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise UserError(f"{path}: videos are written as MP4; give a name that ends in .mp4.")
    if path.is_dir():
        raise UserError(f"{path}: this is a folder; name the file that should be written.")
    for name in ENCODERS:
        try:
            av.Codec(name, "w")
        except ValueError as error:
            raise UserError(
                f"{path}: this build of PyAV cannot encode with {name}: install PyAV's own wheel, "
                "as make env does."
            ) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        with _aside(path):
            pass
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({reason(error)}); choose a folder that you may write to."
        ) from error
    return path


def write_video(
    path: str | Path,
    frames: Iterable[Picture],
    fps: Fraction,
    sound: Iterable[Samples],
    sound_rate: int,
    channels: int,
    record: dict | None,
    marks: bool = True,
    preset: str = "medium",
    credentials: Credentials | None = None,
) -> int:
    """Streams pictures (H.264) and sound (AAC) into an MP4.

    Memory does not grow with length: sound is read only as far as the pictures have come. The file
    has a hidden temporary name until it is complete.

    Args:
      path: Video to write.
      frames: Pictures, (rows, cols, 3) uint8, with even sides.
      fps: Frames per second.
      sound: Blocks of samples, (samples, channels).
      sound_rate: Samples per second. AAC has rates from 7,350 to 96,000 Hz; other sound is
        resampled to the next rate above.
      channels: Channels of the sound; more than 8 are mixed down to stereo.
      record: Written as JSON, with "synthetic": true, into the container's comment. None for real
        pictures, which get neither comment nor marks.
      marks: False for pictures that are already `marked`.
      preset: x264's. "medium" takes 6 ms of processor time for a picture of 256 pixels and has a
        PSNR 1.5 dB above that of "veryfast" (4 ms). On a CPU the networks take far longer.
      credentials: Signs the file.

    Returns:
      The number of pictures.

    Raises:
      UserError: the disk is full, or the file cannot be signed.
      OSError: the file cannot be written, which `check_writable` finds beforehand.
      ValueError: there are no pictures, or their sides are odd or change.
    """
    path = Path(path)
    comment = None if record is None else {**record, "synthetic": True}
    pictures = iter(marked(frames) if marks and record is not None else frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError("a video needs at least one picture")
    with contextlib.ExitStack() as held:
        unfinished = held.enter_context(_aside(path))
        # With the index at the front browsers start at once. FFmpeg moves it by copying the file
        # in pieces, so memory stays flat.
        with av.open(
            f"file:{unfinished}", "w", format="mp4", options={"movflags": "+faststart"}
        ) as container:
            if comment is not None:
                container.metadata["comment"] = json.dumps(comment)
            streams = (
                _add_picture(container, first, fps, preset),
                _add_sound(container, sound_rate, channels),
            )
            whole = itertools.chain([first], pictures)
            count = _encode(container, *streams, whole, fps, iter(sound), sound_rate)
        if credentials is not None and comment is not None:
            plain, unfinished = unfinished, held.enter_context(_aside(path))
            sign(credentials, plain, unfinished, comment)
        put_in_place(unfinished, path)
    return count


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Yields a new hidden file beside `path`, locked in the block and removed after it."""
    unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}.mp4")
    with unfinished.open("x") as file:
        try:
            with contextlib.suppress(OSError):  # on disks without locks, `_sweep` removes nothing
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield unfinished
        except OSError as error:  # includes FFmpeg's write errors
            if is_disk_full(error):
                raise disk_is_full(path) from error
            raise
        finally:
            with contextlib.suppress(OSError):  # its disk may be gone
                unfinished.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Removes unfinished videos of killed runs, which hold no locks."""
    for rest in folder.glob(f"{UNFINISHED}*.mp4"):
        with contextlib.suppress(OSError), rest.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rest.unlink(missing_ok=True)


def _encode(
    container: OutputContainer,
    picture_stream: av.VideoStream,
    sound_stream: av.AudioStream,
    frames: Iterator[Picture],
    fps: Fraction,
    sound: Iterator[np.ndarray],
    sound_rate: int,
) -> int:
    context = picture_stream.codec_context
    shape = (context.height, context.width, 3)
    count = heard = 0
    for picture in frames:
        if picture.shape != shape:
            raise ValueError(f"picture {count} is {picture.shape}, the first {shape}")
        container.mux(context.encode(_yuv(picture, count)))
        count += 1
        while heard * fps < count * sound_rate and (block := next(sound, None)) is not None:
            container.mux(_encode_sound(sound_stream, block, heard, sound_rate))
            heard += len(block)
    for block in sound:
        container.mux(_encode_sound(sound_stream, block, heard, sound_rate))
        heard += len(block)
    container.mux(sound_stream.encode(None))
    container.mux(context.encode(None))
    return count


def _yuv(picture: Picture, index: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
    )
    frame.pts = index
    return frame


def _add_picture(
    container: OutputContainer, first: Picture, fps: Fraction, preset: str
) -> av.VideoStream:
    rows, cols, _ = first.shape
    if rows % 2 or cols % 2:
        raise ValueError(f"H.264 needs even sides, not {cols}x{rows}")
    stream = container.add_stream(ENCODERS[0], rate=fps, options={"preset": preset, "crf": "18"})
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = cols, rows, "yuv420p"
    context.time_base = 1 / fps
    # Without a colour space in the stream, players guess it from the picture's size.
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = ColorRange.MPEG
    return stream


def _add_sound(container: OutputContainer, rate: int, channels: int) -> av.AudioStream:
    coded = min((r for r in AAC_RATES if r >= rate), default=AAC_RATES[-1])
    layout = LAYOUTS.get(channels, "stereo")
    stream = container.add_stream(ENCODERS[1], rate=coded, layout=layout)
    stream.codec_context.format = "fltp"
    stream.codec_context.bit_rate = stream.layout.nb_channels * min(AAC_BITS * coded, AAC_MOST)
    return stream


def _encode_sound(
    stream: av.AudioStream, block: np.ndarray, start: int, rate: int
) -> list[av.Packet]:
    if not len(block):
        return []
    channels = stream.layout.nb_channels
    if block.shape[1] not in LAYOUTS:
        block = np.repeat(block.mean(axis=1, keepdims=True), channels, axis=1)
    packed = block.astype(np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, "flt", stream.layout.name)
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), start
    return stream.encode(frame)


def read_record(path: str | Path) -> dict:
    """Reads the record of a video: its generator, its person, and that it is synthetic.

    Raises:
      UserError: the file is no media file, or has no record.
    """
    with open_media(path) as container:
        comment = tag(container, "comment")
    try:
        record = json.loads(comment) if len(comment) <= LONGEST else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise UserError(f"{path}: this video carries no record; name one that infer.py wrote.")
    return record
