"""The one error that a user's input can cause."""

import errno
import os
import unicodedata

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class UserError(Exception):
    """Something in the input is wrong: one sentence with the file, the value and the remedy.

    The scripts print the sentence and exit with 2; anything else that is raised is a defect.
    """


def shortened(text: str, most: int = 200) -> str:
    """A text for a sentence, without its middle where it is long."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def printable(text: str) -> str:
    """The text on one line, with control characters and bytes outside UTF-8 escaped."""
    return "".join(
        _escaped(c) if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text
    )


def _escaped(character: str) -> str:
    # Python reads a byte that is no UTF-8 as a surrogate of U+DC00 and the byte.
    code = ord(character) - 0xDC00
    return f"\\x{code:02x}" if 0x80 <= code <= 0xFF else ascii(character)[1:-1]


def escaped(error: UnicodeError) -> tuple[str, int]:
    """Spells what an encoding lacks as `printable` does; for `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_escaped, error.object[error.start : error.end])), error.end


def reason(error: OSError) -> str:
    """Why a place cannot be written, in words that say what to look for."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "a file is where its folder should be"
    return error.strerror or str(error)


def is_disk_full(error: BaseException) -> bool:
    """Whether there was no room for what was being written, in whichever library's words."""
    said = str(error)
    return getattr(error, "errno", None) in _FULL or any(os.strerror(n) in said for n in _FULL)


def disk_is_full(place: object) -> UserError:
    """What to say of a place when `is_disk_full`."""
    return UserError(f"{place} cannot be written, the disk is full: make room and run this again.")


def readable_bytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
