"""A table of clips: the speaker and the split of each."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from lumiere_jax.errors import UserError, printable, shortened
from lumiere_jax.files import read_whole
from lumiere_jax.inputs.dataset.segments import SPLITS

COLUMNS = ("clip", "speaker", "split")


@dataclass(frozen=True)
class ClipsTable:
    """Splits and speakers of clips, by the clips' names."""

    splits: dict[str, str]
    speakers: dict[str, str]


def read_clips(path: Path, clips: Mapping[str, Path]) -> ClipsTable:
    """Reads a CSV file with the columns clip, speaker and split, a line for each clip.

    A line names a clip by its name or by its file's, with or without ending. Where several clips
    have that name, the folder comes before it, as in s1/bbaf2n.mpg. Warns if a speaker is in
    several splits.

    Args:
      clips: The clips' files, by the clips' names.

    Raises:
      UserError: it cannot be read, a clip is missing, twice or unknown, or a split has none.
    """
    table = ClipsTable({}, {})
    known = _called(clips)
    for number, row in enumerate(_rows(path), 2):
        clip, speaker, split = (row[name] for name in COLUMNS)
        if clip not in known:
            raise UserError(
                f"{path}, line {number}: --footage names no clip '{shortened(clip)}', or several: "
                "correct the table or the pattern, or write its folder before it."
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
    if missing := next((name for name in clips if name not in table.splits), None):
        raise UserError(
            f"{path} has no line for '{clips[missing].name}': add it, or narrow --footage."
        )
    if empty := next((split for split in SPLITS if split not in table.splits.values()), None):
        raise UserError(f"{path} gives no clip to the split '{empty}': give it one.")
    places: dict[str, set[str]] = {}
    for clip, speaker in table.speakers.items():
        places.setdefault(speaker, set()).add(table.splits[clip])
    for speaker, splits in places.items():
        if len(splits) > 1:
            tqdm.write(
                f"warning: {path}: '{shortened(speaker)}' is in {' and '.join(sorted(splits))}: "
                "what is measured there is a known face."
            )
    return table


def _called(clips: Mapping[str, Path]) -> dict[str, str]:
    """Returns clips' names by every name that identifies one of them alone."""
    found: dict[str, set[str]] = {}
    for name, path in clips.items():
        folder = path.parent.name
        calls = path.name, path.stem, f"{folder}/{path.name}", f"{folder}/{path.stem}"
        for call in (name, *map(printable, calls)):
            found.setdefault(call, set()).add(name)
    return {call: names.pop() for call, names in found.items() if len(names) == 1}


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        lines = io.StringIO(read_whole(path).decode("utf-8-sig"), newline=None)
        reader = csv.DictReader(lines, strict=True, skipinitialspace=True)
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
