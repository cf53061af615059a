"""The error that a user's input can cause, and the wording of messages."""

import errno
import os
import unicodedata

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class UserError(Exception):
    """An error in the user's input: one sentence with the file, the value and the remedy.

    The scripts print the sentence and exit with 2. Any other exception is a defect.
    """


def shortened(text: str, most: int = 200) -> str:
    """Replaces the middle of a text that is longer than `most` characters by an ellipsis."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def printable(text: str) -> str:
    """Returns the text on one line; escapes control characters and bytes outside UTF-8."""
    return "".join(
        _escaped(c) if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text
    )


def _escaped(character: str) -> str:
    # Python decodes a byte that is not UTF-8 as the surrogate U+DC00 plus the byte.
    code = ord(character) - 0xDC00
    return f"\\x{code:02x}" if 0x80 <= code <= 0xFF else ascii(character)[1:-1]


def escaped(error: UnicodeError) -> tuple[str, int]:
    """Escapes characters that an encoding lacks as `printable` does; for `register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_escaped, error.object[error.start : error.end])), error.end


def reason(error: OSError) -> str:
    """Says why a path cannot be written, in words that tell a user what to look for."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "a file is where its folder should be"
    return error.strerror or str(error)


def is_disk_full(error: BaseException) -> bool:
    """Whether an error of any library means that the disk is full."""
    said = str(error)
    return getattr(error, "errno", None) in _FULL or any(os.strerror(n) in said for n in _FULL)


def disk_is_full(place: object) -> UserError:
    """Makes the UserError for a `place` on a full disk."""
    return UserError(f"{place} cannot be written, the disk is full: make room and run this again.")


def readable_bytes(size: int) -> str:
    """Formats a size in bytes as MB or GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
