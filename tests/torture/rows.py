"""What a torture tells: a promise, how often it was tried, how often it failed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A promise, how often it was tried, how often it failed, and what else is to be said."""

    promise: str
    tries: int
    failures: int
    note: str = ""
