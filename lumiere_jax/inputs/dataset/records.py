"""A split's records at random access, with the next one in the place of one that is damaged."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from lumiere_jax.errors import UserError

# So many damaged records, or this share of them if that is more, are a disk's slip; more are not.
FEWEST, SHARE = 3, 0.001


@functools.cache
def known_damage(name: str) -> set[int]:
    """The damaged records that this process has met in a split, whoever reads it."""
    return set()


@dataclass
class Records:
    """The examples of a split, the pictures still encoded: what is `stored`, and how it is parsed.

    A record that cannot be read is named once, and the next that can stands in its place, the first
    one after the last. What is read thus depends on the index alone, whatever was read before.

    Raises a UserError where more are `damaged` than three and a thousandth of them all.
    """

    stored: Any
    parse: Callable[[bytes], dict[str, Any]]
    name: str
    failure: UserError | None = None

    @property
    def damaged(self) -> set[int]:
        """Indices, as far as they have been met."""
        return known_damage(self.name)

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._read(lambda i: self.parse(self.stored[i]), index)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self.__getitem__, range(len(self)))

    def encoded(self, index: int) -> bytes:
        """The record as it is stored."""
        return self._read(self.stored.__getitem__, index)

    def _read(self, read: Callable[[int], Any], index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        while True:
            index %= len(self)
            try:
                return read(index)
            except MemoryError:  # which is no fault of the record's
                raise
            except Exception as error:  # array_record and TFDS raise what comes
                self._note(index, error)
            index += 1

    def _note(self, index: int, error: Exception) -> None:
        new = index not in self.damaged
        self.damaged.add(index)
        many = len(self.damaged) > max(FEWEST, int(SHARE * len(self)))
        if many or len(self.damaged) == len(self):
            # Kept, because TensorFlow, in whose threads records are read, loses what is raised.
            self.failure = UserError(
                f"{self.name}: {len(self.damaged)} of its {len(self)} records are damaged, the "
                f"last of them {index} ({' '.join(str(error).split())[:80]}): check the disk, and "
                "make the dataset anew with prepare.py."
            )
            raise self.failure
        if new:
            tqdm.write(
                f"warning: {self.name}: record {index} is damaged ({len(self.damaged)} so far); "
                "the one after it takes its place."
            )
