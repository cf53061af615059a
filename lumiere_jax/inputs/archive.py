"""A clip, prepared: a folder of encoded frames and figures, keypoints and sound.

It is what the dataset's builder reads, so footage is decoded and posed once, whatever the
splits. Everything is written and read in order: memory does not grow with a clip's length.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from lumiere_jax.audio.features import RATE, frame_start
from lumiere_jax.shapes import Picture

JPEG_QUALITY = 95
# Frames and figures in turn, where each of them ends, keypoints and aperture, 16 kHz mono.
PICTURES, ENDS, KNOWN, SOUND = "pictures.bin", "ends.i64", "known.f32", "sound.f32"
NUMBERS = 137 * 3 + 1


@dataclass(frozen=True)
class Example:
    """One frame of a clip. `aperture` is the mouth's true opening, NaN where nobody knows it."""

    frame: Picture
    figure: Picture
    keypoints: np.ndarray
    aperture: float = float("nan")


def encode_jpeg(picture: Picture) -> bytes:
    """RGB to JPEG bytes."""
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()


def encode_png(picture: Picture) -> bytes:
    """RGB to PNG bytes; figures are labels, so they must come back exactly."""
    _, data = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data.tobytes()


def decode(data: bytes) -> Picture:
    """RGB from JPEG or PNG bytes."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("these bytes are no picture")
    return picture[..., ::-1]


def write_clip(folder: Path, examples: Iterable[Example], sound: Iterable[np.ndarray]) -> None:
    """Writes a clip into a new folder; `sound` is mono, 16 kHz."""
    folder.mkdir()
    end = 0
    with (
        open(folder / PICTURES, "wb") as pictures,
        open(folder / ENDS, "wb") as ends,
        open(folder / KNOWN, "wb") as known,
    ):
        for example in examples:
            for data in (encode_jpeg(example.frame), encode_png(example.figure)):
                end += pictures.write(data)
                ends.write(np.int64(end).tobytes())
            known.write(np.append(example.keypoints, example.aperture).astype("<f4").tobytes())
    with open(folder / SOUND, "wb") as track:
        for piece in sound:
            track.write(np.asarray(piece, "<f4").tobytes())


def read_sound(folder: Path, first: int, frames: int, fps: Fraction) -> Iterator[np.ndarray]:
    """The sound of frames `first` to `first + frames` - 1 in pieces of a second or less, padded
    with silence at the end."""
    start, stop = frame_start(first, fps, RATE), frame_start(first + frames, fps, RATE)
    with open(folder / SOUND, "rb") as track:
        track.seek(4 * start)
        for begin in range(start, stop, RATE):
            wanted = min(RATE, stop - begin)
            samples = np.frombuffer(track.read(4 * wanted), "<f4")
            yield np.pad(samples, (0, wanted - len(samples)))


def read_examples(folder: Path, first: int, frames: int) -> Iterator[dict]:
    """Encoded frame and figure, keypoints and aperture of each frame, by name."""
    with (
        open(folder / PICTURES, "rb") as pictures,
        open(folder / ENDS, "rb") as ends,
        open(folder / KNOWN, "rb") as known,
    ):
        known.seek(4 * NUMBERS * first)
        # The end of the picture before the first, which a clip's own first has not.
        ends.seek(8 * max(2 * first - 1, 0))
        end = int.from_bytes(ends.read(8), "little") if first else 0
        pictures.seek(end)
        for _ in range(frames):
            encoded = []
            for stop in np.frombuffer(ends.read(16), "<i8").tolist():
                encoded.append(pictures.read(stop - end))
                end = stop
            numbers = np.frombuffer(known.read(4 * NUMBERS), "<f4")
            frame, figure = encoded
            yield {
                "frame": frame,
                "figure": figure,
                "keypoints": numbers[:-1].reshape(137, 3),
                "aperture": numbers[-1],
            }
