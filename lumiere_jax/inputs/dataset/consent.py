"""The record of consent, without which no footage is processed."""

import datetime
import hashlib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lumiere_jax.errors import UserError

FIELDS = {
    "who": "the person shown and heard",
    "when": "the date of their consent, as 2026-01-31",
    "purpose": "what they agreed that the videos are for",
}

# As JSON, which may be six times as long, it has to fit into a video's comment of 64 kB.
LARGEST = 1 << 13


def read_consent(path: Path | None) -> dict[str, Any]:
    """Reads the record with `who`, `when` and `purpose`; dates become ISO strings.

    Raises:
      UserError: no file is named, it cannot be read, or a field is missing or empty.
    """
    wanted = "; ".join(f'{name} = "..." ({meaning})' for name, meaning in FIELDS.items())
    if path is None:
        raise UserError(
            f"footage needs its speaker's consent: write a consent.toml with {wanted}, "
            "and name it with --consent."
        )
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 10} kB")
        record = json.loads(json.dumps(tomllib.loads(text.decode()), default=str))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"{path} cannot be read ({why}): write it with {wanted}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not TOML ({error}): write it with {wanted}.") from error
    if lacking := next(missing_fields(record), None):
        raise UserError(f"{path} has no '{lacking}': add {FIELDS[lacking]}.")
    try:
        datetime.date.fromisoformat(record["when"][:10])
    except ValueError as error:
        raise UserError(
            f"{path} says when = {record['when']!r}: write a date as 2026-01-31."
        ) from error
    return record


def missing_fields(record: Any) -> Iterator[str]:
    """Yields the fields that are missing or empty in a record, whatever its type.

    Raises:
      ValueError: it is too long for a video's comment.
    """
    if len(json.dumps(record)) > 6 * LARGEST:
        raise ValueError(f"its consent is longer than {6 * LARGEST >> 10} kB")
    for name in FIELDS:
        said = record.get(name) if isinstance(record, dict) else None
        if not isinstance(said, str) or not said.strip():
            yield name


def consent_id(record: dict[str, Any]) -> str:
    """Returns a short identifier of a record, the same wherever it is stored."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]
