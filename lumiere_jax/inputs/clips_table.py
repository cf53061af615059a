"""A table of clips: who speaks in each, and which split it belongs to."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lumiere_jax.errors import UserError, shortened
from lumiere_jax.inputs.segments import SPLITS

COLUMNS = ("clip", "speaker", "split")
_LARGEST = 2**24


@dataclass(frozen=True)
class ClipsTable:
    """Splits and speakers of clips by name."""

    splits: dict[str, str]
    speakers: dict[str, str]


def read_clips(path: Path, clips: Iterable[str]) -> ClipsTable:
    """A CSV file with the columns clip, speaker and split, a line for each of the `clips`.

    A clip may be named with its ending or without.

    Raises:
      UserError: it cannot be read, a clip is missing, twice or unknown, or a split has none.
    """
    table = ClipsTable({}, {})
    stems = {name: Path(name).stem for name in clips}
    known = {**stems, **{stem: stem for stem in stems.values()}}
    for number, row in enumerate(_rows(path), 2):
        clip, speaker, split = (row[name] for name in COLUMNS)
        if clip not in known:
            raise UserError(
                f"{path}, line {number}: --footage names no clip '{shortened(clip)}': correct the "
                "table or the pattern."
            )
        if split not in SPLITS:
            raise UserError(
                f"{path}, line {number}: '{shortened(split)}' is no split: write one of "
                f"{', '.join(SPLITS)}."
            )
        if not speaker:
            raise UserError(f"{path}, line {number}: it names no speaker: write one.")
        if known[clip] in table.splits:
            raise UserError(f"{path}, line {number}: '{clip}' is there twice: remove one line.")
        table.splits[known[clip]], table.speakers[known[clip]] = split, speaker
    if missing := next((name for name, stem in stems.items() if stem not in table.splits), None):
        raise UserError(f"{path} has no line for '{missing}': add it, or narrow --footage.")
    if empty := next((split for split in SPLITS if split not in table.splits.values()), None):
        raise UserError(f"{path} gives no clip to the split '{empty}': give it one.")
    return table


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST >> 20} MB")
        text = path.read_text("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text), strict=True)
        rows = list(reader)
        lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if lacking:
            raise ValueError(f"its first line has no column '{lacking[0]}'")
        whole = [name for row in rows for name in COLUMNS if row[name] is None]
        if whole:
            raise ValueError(f"a line has no '{whole[0]}'")
    except OSError as error:
        raise UserError(f"--clips={path}: {error.strerror}: name a table.") from error
    except (ValueError, csv.Error) as error:  # a UnicodeDecodeError is a ValueError
        raise UserError(
            f"{path} is no table of clips ({shortened(str(error))}): write a CSV file with the "
            f"columns {', '.join(COLUMNS)}."
        ) from error
    return [{name: row[name].strip() for name in COLUMNS} for row in rows]
