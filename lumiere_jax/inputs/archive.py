"""A clip, prepared: encoded frames and figures, keypoints and sound in one plain zip file.

It is what the dataset's builder reads, so footage is decoded and posed once, whatever the
splits, and one clip at a time, whatever its length.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from lumiere_jax.audio.features import RATE, frame_start
from lumiere_jax.shapes import Picture

JPEG_QUALITY = 95


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


def write_clip(path: Path, examples: Iterable[Example], sound: Iterable[np.ndarray]) -> int:
    """Writes a clip's archive and returns its number of frames; `sound` is mono, 16 kHz."""
    keypoints, apertures = [], []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for t, example in enumerate(examples):
            archive.writestr(f"frame/{t}.jpg", encode_jpeg(example.frame))
            archive.writestr(f"figure/{t}.png", encode_png(example.figure))
            keypoints.append(example.keypoints.astype(np.float32))
            apertures.append(example.aperture)
        with archive.open("sound.f32", "w", force_zip64=True) as track:
            for piece in sound:
                track.write(np.asarray(piece, "<f4").tobytes())
        for name, array in (("keypoints", keypoints), ("aperture", np.array(apertures, "f4"))):
            data = io.BytesIO()
            np.save(data, np.asarray(array, np.float32))
            archive.writestr(f"{name}.npy", data.getvalue())
    return len(apertures)


def read_waveform(path: Path, first: int, frames: int, fps: Fraction) -> np.ndarray:
    """The sound of frames `first` to `first + frames` - 1, padded with silence at the end."""
    start, stop = frame_start(first, fps, RATE), frame_start(first + frames, fps, RATE)
    with zipfile.ZipFile(path) as archive, archive.open("sound.f32") as track:
        track.seek(4 * start)
        samples = np.frombuffer(track.read(4 * (stop - start)), "<f4")
    return np.pad(samples, (0, stop - start - len(samples)))


def read_examples(path: Path, first: int, frames: int) -> Iterator[dict]:
    """Encoded frame and figure, keypoints and aperture of each frame, by name."""
    with zipfile.ZipFile(path) as archive:
        keypoints = np.load(io.BytesIO(archive.read("keypoints.npy")))
        aperture = np.load(io.BytesIO(archive.read("aperture.npy")))
        for t in range(first, first + frames):
            yield {
                "frame": archive.read(f"frame/{t}.jpg"),
                "figure": archive.read(f"figure/{t}.png"),
                "keypoints": keypoints[t],
                "aperture": aperture[t],
            }
