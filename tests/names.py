"""Names that people give to folders: what is typed, and what is then there."""

import os

import pytest

# By what is odd about them; typed in a folder that holds the folder `a` and is the user's home.
NAMES = {
    "up": ("a/../b", "b"),
    "here": ("./b", "b"),
    "twice": ("a//b", "a/b"),
    "trailing": ("b/", "b"),
    "brackets": ("[1]", "[1]"),
    "not in brackets": ("[!a]", "[!a]"),
    "star": ("a*b", "a*b"),
    "question": ("a?b", "a?b"),
    "braces": ("{x}", "{x}"),
    "space": ("with space", "with space"),
    "quotes": ('it\'s "q"', 'it\'s "q"'),
    "percent": ("100%", "100%"),
    "escape": ("%20", "%20"),
    "hash": ("a#b", "a#b"),
    "home": ("~/x", "x"),
    "dash": ("-dash", "-dash"),
    "backslash": ("a\\b", "a\\b"),
    "letters": ("köln 東京", "köln 東京"),
    "bytes": (os.fsdecode(b"caf\xe9"), os.fsdecode(b"caf\xe9")),
    "line": ("two\nlines", "two\nlines"),
    "long": ("l" * 220, "l" * 220),
}


def each_name(names=NAMES, quick=("brackets", "bytes")):
    """Parametrizes a test over names; all but `quick` are marked slow."""
    cases = [
        pytest.param(*places, id=name, marks=() if name in quick else pytest.mark.slow)
        for name, places in names.items()
    ]
    return pytest.mark.parametrize("typed, there", cases)
