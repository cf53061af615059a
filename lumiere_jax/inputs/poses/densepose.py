"""Figures from DensePose: `apply_net.py dump` files, or the `_IUV.png` of the older tool."""

import base64
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.media.picture_bytes import decode_picture
from lumiere_jax.inputs.poses import pose_folder, torch_dump
from lumiere_jax.shapes import Picture

_DUMPS = (".pkl", ".pt", ".pth")
_IUV = "_IUV.png"
LONGEST_NAME = 4096


def _record(value: Any) -> dict:
    return value if isinstance(value, dict) else getattr(value, "__dict__", {})


@lru_cache(maxsize=2)
def _entries(path: Path) -> tuple[list[dict], Callable]:
    content, read = torch_dump.open_dump(path)
    if not isinstance(content, list) or not all(
        isinstance(entry, dict)
        and isinstance(name := entry.get("file_name"), str)
        and len(name) <= LONGEST_NAME
        for entry in content
    ):
        raise UserError(
            f"{path} holds no list of DensePose results; write it with apply_net.py dump."
        )
    return content, read


def _dump_boxes(entry: dict, read: Callable, path: Path) -> np.ndarray:
    boxes = entry.get("pred_boxes_XYXY")
    results = entry.get("pred_densepose")
    if boxes is None or results is None:
        return np.zeros((0, 4))
    boxes = read(boxes) if isinstance(boxes, torch_dump.Tensor) else np.zeros((0, 0))
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise UserError(f"{path}: the boxes of {entry['file_name']} are not (people, 4) numbers.")
    return boxes.astype(np.float64)


def _labels_uv(result: Any, read: Callable) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels (h, w) and U, V (2, h, w) in [0, 1] of one person's result of any class."""
    fields = _record(result)
    if "labels" in fields:
        return read(fields["labels"]), read(fields["uv"])
    if "labels_uv_uint8" in fields:
        packed = read(fields["labels_uv_uint8"])
    else:  # base64 of a PNG: of one person, or the older class's (shape, text)
        text = fields["labels_uv_str"] if "labels_uv_str" in fields else result[1]
        packed = _png(text)
    return packed[0], packed[1:] / np.float32(255)


def _png(text: str) -> np.ndarray:
    return decode_picture(base64.b64decode(text))[:, :, ::-1].transpose(2, 0, 1)


def paste(labels, uv, box, rows: int, cols: int) -> UInt8[np.ndarray, "{rows} {cols} 3"]:
    """Places (I, U * 255, V * 255) of one person at the box's truncated corner, clipped.

    Raises:
      ValueError: labels and uv do not match, or labels are not 0 to 24.
    """
    if labels.ndim != 2 or uv.shape != (2, *labels.shape) or not np.isfinite(uv).all():
        raise ValueError("labels and uv do not fit each other")
    if labels.size and not (0 <= labels.min() and labels.max() <= 24):
        raise ValueError("labels are not 0 to 24")
    person = np.stack([labels, *np.rint(255 * np.clip(uv, 0, 1))], -1).astype(np.uint8)
    person[labels == 0] = 0
    x, y = (int(corner) for corner in box[:2])
    iuv = np.zeros((rows, cols, 3), np.uint8)
    inside = person[max(-y, 0) : max(rows - y, 0), max(-x, 0) : max(cols - x, 0)]
    y, x = max(y, 0), max(x, 0)
    iuv[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return iuv


def _from_dumps(dumps: list[Path], rows: int, cols: int):
    """Opens dumps: returns the number of frames, and functions to their people's boxes and IUV."""
    places = []
    for dump in dumps:
        entries, _ = _entries(dump)
        places += [(entry["file_name"], dump, i) for i, entry in enumerate(entries)]
    places.sort(key=lambda place: pose_folder.natural(place[0]))

    def boxes(frame: int) -> np.ndarray:
        _, dump, i = places[frame]
        entries, read = _entries(dump)
        return _dump_boxes(entries[i], read, dump)

    def iuv(frame: int, person: int) -> np.ndarray:
        name, dump, i = places[frame]
        entries, read = _entries(dump)
        results = entries[i]["pred_densepose"]
        results = _record(results).get("results", results)
        try:
            labels, uv = _labels_uv(results[person], read)
            return paste(labels, uv, boxes(frame)[person], rows, cols)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise UserError(
                f"{dump}: the result for {name} is not DensePose's ({error}); dump it again."
            ) from error

    return len(places), boxes, iuv


def _from_pictures(pictures: list[Path], rows: int, cols: int):
    """Opens `_IUV.png` files; returns as `_from_dumps`."""

    def read(path: Path, channels: int) -> np.ndarray:
        way = cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE
        try:
            picture = decode_picture(path.read_bytes(), way)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is no picture ({error}); run DensePose again.") from error
        if picture.shape[:2] != (rows, cols):
            raise UserError(
                f"{path} is {picture.shape[1]}x{picture.shape[0]}, the clip's frames are "
                f"{cols}x{rows}: run DensePose on the clip's own frames."
            )
        return picture

    def people(frame: int) -> np.ndarray:
        index = Path(str(pictures[frame]).removesuffix(_IUV) + "_INDS.png")
        if index.exists():
            return read(index, 1)
        return (read(pictures[frame], 3)[:, :, 0] > 0).astype(np.uint8)

    def boxes(frame: int) -> np.ndarray:
        mask = people(frame)
        found = []
        for person in range(1, int(mask.max()) + 1):
            x, y, width, height = cv2.boundingRect((mask == person).astype(np.uint8))
            found.append((x, y, x + width, y + height))
        return np.array(found, np.float64).reshape(-1, 4)

    def iuv(frame: int, person: int) -> np.ndarray:
        picture = read(pictures[frame], 3)  # cv2 reads as the tool wrote: I, U, V
        if picture[:, :, 0].max() > 24:
            raise UserError(
                f"{pictures[frame]} is no IUV picture, its part index is over 24; "
                "pictures that show results on the photograph cannot be used."
            )
        return np.where((people(frame) == person + 1)[..., None], picture, 0)

    return len(pictures), boxes, iuv


def to_figure(
    iuv: UInt8[np.ndarray, "height width 3"], square: tuple[int, int, int], size: int
) -> Picture:
    """Draws the figure of a square (x, y, side) of the picture: B = I * 255 / 24, G = U, R = V."""
    x, y, side = square
    iuv = cv2.resize(
        iuv[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_NEAREST_EXACT
    )
    part = np.rint(iuv[:, :, 0] * (255 / 24)).astype(np.uint8)
    return np.stack([iuv[:, :, 2], iuv[:, :, 1], part], -1)


def open_figures(
    folder: Path, clip: Path, rows: int, cols: int, chosen: np.ndarray | None = None
) -> tuple[np.ndarray, Callable[[int, tuple[int, int, int], int], Picture]]:
    """Opens a clip's DensePose results and finds the largest person that persists.

    Args:
      rows: Height of the clip's frames, in pixels.
      cols: Width of the same.
      chosen: The person of each source frame, where they have been found before.

    Returns:
      The index of the person in each source frame (-1: missing), and the function from (source
      frame, square, size) to that person's figure.

    Raises:
      UserError: the folder has no results, damaged ones, or not one for each source frame.
    """
    dumps = sorted(path for path in folder.iterdir() if path.suffix in _DUMPS)
    pictures = sorted(folder.glob(f"*{_IUV}"), key=lambda path: pose_folder.natural(path.name))
    if not dumps and not pictures:
        raise UserError(
            f"{folder} holds neither dumps of apply_net.py (*.pkl) nor *_IUV.png; "
            "pictures of apply_net.py show cannot be used."
        )
    opened = _from_dumps(dumps, rows, cols) if dumps else _from_pictures(pictures, rows, cols)
    number, boxes, iuv = opened
    if chosen is None:
        pose_folder.check_number(number, folder, clip)
        chosen = pose_folder.follow([boxes(frame) for frame in range(number)])
    people = chosen

    def figure(frame: int, square: tuple[int, int, int], size: int) -> Picture:
        return to_figure(iuv(frame, int(people[frame])), square, size)

    return people, figure
