"""Transcripts: reference texts, and a lip reader's hypotheses."""

from pathlib import Path

from lumiere_jax.errors import UserError
from lumiere_jax.files import read_whole


def read_transcripts(references: Path, hypotheses: Path) -> tuple[list[str], list[str]]:
    """Reads two text files with one transcript per line, paired by line.

    Raises:
      UserError: a file cannot be read, their lengths differ, or a reference is empty.
    """
    said, read = _lines(references, "references"), _lines(hypotheses, "hypotheses")
    if len(said) != len(read):
        raise UserError(
            f"--hypotheses={hypotheses} has {len(read)} lines and --references={references} has "
            f"{len(said)}: write one transcript a line, the same ones in the same order."
        )
    silent = next((i for i, line in enumerate(said, 1) if not any(map(str.isalnum, line))), None)
    if silent or not said:
        raise UserError(
            f"--references={references}, line {silent or 1}: nothing is said there; leave it out "
            "of both files."
        )
    return said, read


def _lines(path: Path, flag: str) -> list[str]:
    try:
        return read_whole(path).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"--{flag}={path}: {error.strerror}: name a text file.") from error
    except ValueError as error:
        raise UserError(f"--{flag}={path} is no text in UTF-8 ({error}): write it anew.") from error
