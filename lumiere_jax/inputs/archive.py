"""A clip, prepared: a folder of encoded frames and figures, keypoints and sound.

It is what the dataset's builder reads, so footage is decoded and posed once, whatever the
splits. Everything is written and read in order: memory does not grow with a clip's length.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from lumiere_jax.audio.features import RATE, frame_start
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.encoded import decode_picture
from lumiere_jax.shapes import Picture

JPEG_QUALITY = 95
# Frames and figures in turn, where each of them ends, keypoints and aperture, 16 kHz mono.
PICTURES, ENDS, KNOWN, SOUND = "pictures.bin", "ends.i64", "known.f32", "sound.f32"
# Of footage: a byte for each frame, see `left_out`.
LEFT_OUT = "left_out.u8"
NUMBERS = 137 * 3 + 1
_TRACKS = (PICTURES, ENDS, KNOWN)


@dataclass(frozen=True)
class Example:
    """One frame of a clip; an aligned face has no figure. `aperture` is the mouth's true opening,
    NaN where nobody knows it."""

    frame: Picture
    figure: Picture | None
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


def decode(data: bytes, shape: tuple[int, int] | None = None) -> Picture:
    """RGB from JPEG or PNG bytes; UserError where they are none, or not of this shape."""
    try:
        picture = decode_picture(data)
        if shape is not None and picture.shape[:2] != shape:
            raise ValueError(f"it does not have {shape[1]}x{shape[0]} pixels")
        return picture[..., ::-1]
    except ValueError as error:
        raise UserError(
            f"a picture of the dataset cannot be read ({error}): make it anew with prepare.py."
        ) from error


def write_clip(folder: Path, examples: Iterable[Example], sound: Iterable[np.ndarray]) -> None:
    """Writes a clip into a new folder; `sound` is mono, 16 kHz."""
    folder.mkdir()
    with written(folder) as add:
        for e in examples:
            figure = () if e.figure is None else (encode_png(e.figure),)
            add((encode_jpeg(e.frame), *figure), np.append(e.keypoints, e.aperture))
    _write_sound(folder, sound)


def join(folder: Path, parts: Iterable[Path], sound: Iterable[np.ndarray]) -> None:
    """Puts what was `written` into the folders of a clip's parts together, in their order."""
    end = 0
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(open(folder / name, "wb")) for name in _TRACKS}
        for part in parts:
            for name in (PICTURES, KNOWN):
                with open(part / name, "rb") as source:
                    shutil.copyfileobj(source, files[name])
            files[ENDS].write((np.fromfile(part / ENDS, "<i8") + end).tobytes())
            end = files[PICTURES].tell()
    _write_sound(folder, sound)


def _write_sound(folder: Path, sound: Iterable[np.ndarray]) -> None:
    with open(folder / SOUND, "wb") as track:
        for piece in sound:
            track.write(np.asarray(piece, "<f4").tobytes())


@contextlib.contextmanager
def written(folder: Path) -> Iterator[Callable[[Sequence[bytes], np.ndarray], None]]:
    """A function that adds one frame's encoded pictures and numbers to what the folder holds."""
    with contextlib.ExitStack() as stack:
        pictures, ends, known = (stack.enter_context(open(folder / name, "wb")) for name in _TRACKS)

        def add(encoded: Sequence[bytes], numbers: np.ndarray) -> None:
            for data in encoded:
                pictures.write(data)
                ends.write(np.int64(pictures.tell()).tobytes())
            known.write(numbers.astype("<f4").tobytes())

        yield add


def read_pictures(folder: Path, first: int, count: int) -> Iterator[bytes]:
    """The encoded pictures of a folder, in the order in which they were added."""
    with open(folder / PICTURES, "rb") as pictures, open(folder / ENDS, "rb") as ends:
        # The end of the picture before the first, which a clip's own first has not.
        ends.seek(8 * max(first - 1, 0))
        end = int.from_bytes(ends.read(8), "little") if first else 0
        pictures.seek(end)
        for _ in range(count):
            stop = int.from_bytes(ends.read(8), "little")
            yield pictures.read(stop - end)
            end = stop


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


def read_examples(folder: Path, first: int, frames: int, names: tuple[str, ...]) -> Iterator[dict]:
    """The encoded pictures that each frame has, by their names, its keypoints and its aperture."""
    encoded = read_pictures(folder, len(names) * first, len(names) * frames)
    with open(folder / KNOWN, "rb") as known:
        known.seek(4 * NUMBERS * first)
        for _ in range(frames):
            numbers = np.frombuffer(known.read(4 * NUMBERS), "<f4")
            yield {
                **{name: next(encoded) for name in names},
                "keypoints": numbers[:-1].reshape(137, 3),
                "aperture": numbers[-1],
            }
