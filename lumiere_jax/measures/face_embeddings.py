"""Face embeddings, from a user's ONNX network or from a file of computed vectors.

Networks run in onnxruntime, which is optional.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lumiere_jax.errors import UserError, shortened
from lumiere_jax.weight_files import read_arrays

INSTALL = "pip install onnxruntime"
# Most bytes of a network, and most pixels on a side of its input.
LARGEST, LARGEST_SIDE = 2**31, 1024

Embed = Callable[[UInt8[np.ndarray, "n rows cols 3"]], Float[np.ndarray, "n embedding"]]


def open_embedding(path: Path) -> Embed:
    """Opens a face embedding network.

    The network maps one RGB picture in [-1, 1], as ArcFace's networks take it, to a vector. Its
    input has the shape (1, 3, rows, cols) or (1, rows, cols, 3).

    Returns:
      A function that embeds aligned faces. It pads faces to the input's aspect ratio by repeating
      their edges, and resizes them.

    Raises:
      UserError: onnxruntime is not installed, or the file holds no such network.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"--embedding={path}: a network is run by onnxruntime, which is not installed "
            f"({INSTALL})."
        ) from error
    onnxruntime.set_default_logger_severity(4)  # it writes to the terminal by itself
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 20} MB")
        session = onnxruntime.InferenceSession(
            path.read_bytes(), providers=["CPUExecutionProvider"]
        )
        name, size, first = _input(session)

        def vector(picture: np.ndarray) -> np.ndarray:
            resized = cv2.resize(_padded(picture, size), size, interpolation=cv2.INTER_AREA)
            x = resized.astype(np.float32)[None] / 127.5 - 1
            x = np.moveaxis(x, -1, 1) if first else x
            return np.asarray(session.run(None, {name: np.ascontiguousarray(x)})[0]).reshape(-1)

        tried = vector(np.zeros((*size, 3), np.uint8))
        if len(tried) < 2 or not np.isfinite(tried.astype(np.float64)).all():
            raise ValueError("it makes no vector of a picture")
    except OSError as error:
        raise UserError(f"--embedding={path}: {error.strerror}: name an ONNX file.") from error
    except Exception as error:  # onnxruntime documents no exception types
        reason = shortened(str(error).partition("\n")[0]) or type(error).__name__
        raise UserError(
            f"--embedding={path} is no network of faces ({reason}): give one of a single picture "
            "in and a vector out."
        ) from error
    return lambda pictures: np.stack([vector(picture) for picture in pictures])


def _padded(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pads a picture on all sides to the aspect ratio of `size` (cols, rows)."""
    rows, cols = picture.shape[:2]
    across = max(0, round(rows * size[0] / size[1]) - cols)
    along = max(0, round(cols * size[1] / size[0]) - rows)
    edges = along // 2, along - along // 2, across // 2, across - across // 2
    return cv2.copyMakeBorder(picture, *edges, cv2.BORDER_REPLICATE)


def _input(session: Any) -> tuple[str, tuple[int, int], bool]:
    """Returns a network input's name, (cols, rows), and whether channels come first."""
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
        raise ValueError("its input is not one picture")
    _, *shape = inputs[0].shape
    first = shape[0] == 3
    if not first and shape[2] != 3:
        raise ValueError("its input has no 3 channels")
    rows, cols = shape[1:] if first else shape[:2]
    if not all(type(n) is int and 8 <= n <= LARGEST_SIDE for n in (rows, cols)):
        raise ValueError(f"its input's size, {rows} x {cols}, is not 8 to {LARGEST_SIDE}")
    return inputs[0].name, (cols, rows), first


def read_embeddings(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads embeddings from the arrays `still` (d) and `frames` (n, d) of an npz file.

    Raises:
      UserError: the arrays are missing, or their shapes do not match.
    """
    try:
        arrays = read_arrays(path, ("still", "frames").__contains__)
    except UserError as error:
        raise UserError(
            f"--embedding={path} cannot be read: write the arrays 'still' (d) and 'frames' (n, d) "
            "with numpy.savez."
        ) from error
    still, frames = (np.asarray(arrays.get(name, ()), np.float64) for name in ("still", "frames"))
    fits = still.ndim == 1 and frames.ndim == 2 and frames.shape[1:] == still.shape
    fits = fits and all(np.isfinite(x).all() and x.any(-1).all() for x in (still, frames))
    if not (fits and len(frames)):
        raise UserError(
            f"--embedding={path}: its arrays are not a still's vector, 'still' (d), and those of "
            "frames, 'frames' (n, d): write both with numpy.savez."
        )
    return still, frames
