"""Pictures as PNG and JPEG bytes, decoded within bounds."""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

from lumiere_jax.errors import UserError
from lumiere_jax.shapes import Picture

JPEG_QUALITY = 95
# Most pixels on a side, also of footage.
LARGEST = 8192
# All threads share Python's warning filters.
_FILTERS = threading.RLock()


def encode_jpeg(picture: Picture) -> bytes:
    """Encodes RGB as JPEG."""
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()


def encode_png(picture: Picture) -> bytes:
    """Encodes RGB as PNG, without loss."""
    _, data = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data.tobytes()


def decode(data: bytes, shape: tuple[int, int] | None = None) -> Picture:
    """Decodes JPEG or PNG bytes of a dataset to RGB.

    Raises:
        UserError: they cannot be decoded, or are not of this shape.
    """
    try:
        picture = decode_picture(data)
        if shape is not None and picture.shape[:2] != shape:
            raise ValueError(f"it does not have {shape[1]}x{shape[0]} pixels")
        return picture[..., ::-1]
    except ValueError as error:
        raise UserError(
            f"a picture of the dataset cannot be read ({error}): make it anew with prepare.py."
        ) from error


def decode_picture(data: bytes, way: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Decodes PNG or JPEG bytes with OpenCV, to BGR or by another flag `way`.

    Raises:
        ValueError: they are neither, damaged, or a picture over 8192 pixels on a side.
    """
    check_header(data)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), way)
    except cv2.error as error:
        raise ValueError("it is damaged") from error
    if picture is None:
        raise ValueError("it is damaged")
    return picture


def check_header(data: bytes) -> None:
    """Raises a ValueError for other formats, for too large pictures and for truncated PNGs."""
    try:
        with (
            quiet_pillow(),
            Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as header,
        ):
            cols, rows = header.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("it is neither PNG nor JPEG") from error
    if max(cols, rows) > LARGEST:
        raise ValueError(f"it is {cols}x{rows}, over {LARGEST} pixels on a side")
    if data.startswith(b"\x89PNG") and not _chunks_fit(data):
        raise ValueError("it is damaged")


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silences Pillow's warnings: errors are reported in the project's own words."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _chunks_fit(data: bytes) -> bool:
    """Returns whether all chunks of a PNG up to its last lie inside the data.

    OpenCV allocates whatever length a chunk states. Bytes behind the last chunk are ignored.
    """
    place = 8
    while place < len(data):
        last = data[place + 4 : place + 8] == b"IEND"
        place += 12 + int.from_bytes(data[place : place + 4])
        if last:
            return place <= len(data)
    return False
