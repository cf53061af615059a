"""Tries and failures, counted while a torture goes on."""

import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from torture.rows import Row

# Letters of a failure that the table has room for; standard error has all of it.
NOTED = 240
_BEGAN = time.monotonic()


def say(text: str) -> None:
    """A line of progress on standard error."""
    print(f"{time.monotonic() - _BEGAN:6.0f} s  {text}", file=sys.stderr, flush=True)


@dataclass
class Tally:
    """Tries and failures by promise, in the order in which they were first tried."""

    tries: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def tried(self, promise: str, wrong: object = None) -> None:
        """Counts a try, and a failure where something is wrong."""
        self.tries[promise] += 1
        if wrong:
            self.failures[promise] += 1
            say(f"FAILED  {promise}: {wrong}")
            if self.failures[promise] == 1:
                self.note(promise, f"first failure: {str(wrong)[:NOTED]}")

    def note(self, promise: str, text: str) -> None:
        """Something else to be said of a promise."""
        self.notes.setdefault(promise, []).append(text)

    @property
    def rows(self) -> list[Row]:
        """A row for each promise."""
        return [
            Row(promise, tries, self.failures[promise], "; ".join(self.notes.get(promise, [])))
            for promise, tries in self.tries.items()
        ]
