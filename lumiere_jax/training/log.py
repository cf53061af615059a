"""The log of a training: JSON lines, TensorBoard events, warnings and clips."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from lumiere_jax.files import write_whole

# About the highest rate at which browsers show moving GIFs at their own speed.
GIF_FPS = 10

Line = Mapping[str, Any]
Check = Callable[[Sequence[Line]], str | None]
"""Returns a sentence if a log's lines so far show that the run goes wrong, otherwise None."""


@dataclass(frozen=True)
class Clip:
    """Pictures (time, rows, cols, 3) uint8 and their sound (samples, channels) in [-1, 1]."""

    pictures: np.ndarray
    fps: Fraction
    sound: np.ndarray
    rate: int


class Log:
    """A stage's `log.jsonl`, `warnings.jsonl` and events.

    A resumed log drops the lines of steps after `step`. `lines` is the log so far.
    """

    def __init__(self, folder: Path, step: int):
        self._log, self._warnings = folder / "log.jsonl", folder / "warnings.jsonl"
        self.lines = _kept(self._log, step)
        self._said = {line.get("kind") for line in _kept(self._warnings, step)}
        self._events = _open_events(folder / "events", step)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Adds a line to the log and a point to every curve."""
        self.lines.append({"step": step, **values})
        _append(self._log, self.lines[-1])
        for name, value in values.items():
            self._tell("scalar", name, value, step)

    def warn(self, step: int, kind: str, sentence: str) -> None:
        """Prints a sentence and adds it to the events, once in a run for each kind."""
        if kind in self._said:
            return
        self._said.add(kind)
        tqdm.write(f"warning: {sentence}")
        _append(self._warnings, {"step": step, "kind": kind, "sentence": sentence})
        self._tell("text", f"warnings/{kind}", sentence, step)

    def picture(self, step: int, sheet: np.ndarray) -> None:
        """Adds an RGB sheet to the events."""
        self._tell("image", "pictures", sheet, step, dataformats="HWC")

    def clip(self, step: int, clip: Clip) -> None:
        """Adds a moving picture and its sound, which TensorBoard can only show side by side."""
        if not self._events:
            return
        from tensorboardX import summary

        every = max(1, round(clip.fps / GIF_FPS))
        # tensorboardX's own writer of videos needs moviepy, which needs a program.
        still: Any = summary.image("clip", clip.pictures[0], dataformats="HWC")
        still.value[0].image.encoded_image_string = encode_gif(
            clip.pictures[::every], float(every / clip.fps)
        )
        writer: Any = self._events.file_writer
        writer.add_summary(still, step)
        self._tell("audio", "clip/sound", clip.sound[:, :2], step, sample_rate=clip.rate)

    def _tell(self, kind: str, *values: Any, **options: Any) -> None:
        """Adds to the events, unless tensorboardX is missing."""
        if self._events:
            getattr(self._events, f"add_{kind}")(*values, **options)

    def close(self) -> None:
        """Writes the remaining events and closes them."""
        if self._events:
            self._events.close()


def _open_events(folder: Path, step: int) -> Any:
    """Opens a writer of TensorBoard's events after `step`; None without tensorboardX."""
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        if error.name != "tensorboardX":
            raise
        tqdm.write("tensorboardX is not installed: the log is in log.jsonl alone.")
        return None
    # A file is named for the second in which it begins, and would replace another of that second.
    return SummaryWriter(
        str(folder), purge_step=step + 1, flush_secs=10, filename_suffix=f".{step}"
    )


def encode_gif(pictures: np.ndarray, seconds: float) -> bytes:
    """Encodes RGB pictures as a looping GIF that shows each for `seconds`."""
    first, *rest = [Image.fromarray(picture).quantize(128) for picture in pictures]
    data = io.BytesIO()
    first.save(
        data, "gif", save_all=True, append_images=rest, duration=round(1000 * seconds), loop=0
    )
    return data.getvalue()


def _append(path: Path, line: Line) -> None:
    with path.open("a") as handle:
        handle.write(json.dumps(line) + "\n")


def _kept(path: Path, step: int) -> list[dict[str, Any]]:
    """Returns a file's whole lines up to a step, and cuts off the others."""
    if not path.exists():
        return []
    lines = [line for line in read_lines(path) if line["step"] <= step]
    write_whole(path, "".join(json.dumps(line) + "\n" for line in lines))
    return lines


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads a log's lines, each with its step; skips damaged lines and other text."""
    lines = []
    for text in path.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
            if isinstance(line, dict) and all(map(_fits, line, line.values())) and "step" in line:
                lines.append(line)
        except (ValueError, RecursionError):
            continue
    return lines


def _fits(name: str, value: Any) -> bool:
    """Whether a value has the type that a log's line has under this name."""
    if name in ("kind", "sentence"):
        return isinstance(value, str)
    if name == "step":
        return type(value) is int and 0 <= value < 2**63
    return type(value) is float or type(value) is int and abs(value) < 2**63
