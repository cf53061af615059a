"""Files that are whole or not there, and JSON from anyone."""

import json
from pathlib import Path
from typing import Any

# Bytes of JSON; parsed, they are twenty times as many.
LARGEST = 1 << 24


def write_whole(path: Path, text: str) -> None:
    """Puts the text in place at once: what was there stays until all of it is written."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def read_json(path: Path) -> Any:
    """What a file of JSON holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, too large, nested too deeply, or holds texts that are none.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST >> 20} MB")
    try:
        values = json.loads(data)
        # Half a pair of surrogates could not be printed, nor written into a video.
        json.dumps(values, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return values
