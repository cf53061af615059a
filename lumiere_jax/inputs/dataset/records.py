"""Random access to a split's records, where the next one replaces a damaged one."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from lumiere_jax.errors import UserError

# Tolerated damaged records: so many, or this share of all if that is more.
FEWEST, SHARE = 3, 0.001


@functools.cache
def known_damage(name: str) -> set[int]:
    """Returns the damaged records that this process has met in a split, by any reader."""
    return set()


@dataclass
class Records:
    """The examples of a split, with pictures still encoded.

    A record that cannot be read is reported once, and the next readable one takes its place, the
    first one after the last. The result depends on the index alone, not on what was read before.

    Attributes:
      stored: Random access to the records' bytes.
      parse: Decodes a record to its columns.
      name: Folder and split, for messages.
      failure: The last UserError about damage, for readers in TensorFlow's threads.

    Raises:
      UserError: more are `damaged` than three and than a thousandth of them all.
    """

    stored: Any
    parse: Callable[[bytes], dict[str, Any]]
    name: str
    failure: UserError | None = None

    @property
    def damaged(self) -> set[int]:
        """Indices of the damaged records met so far."""
        return known_damage(self.name)

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._read(lambda i: self.parse(self.stored[i]), index)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self.__getitem__, range(len(self)))

    def encoded(self, index: int) -> bytes:
        """Returns the record's stored bytes."""
        return self._read(self.stored.__getitem__, index)

    def _read(self, read: Callable[[int], Any], index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        while True:
            index %= len(self)
            try:
                return read(index)
            except MemoryError:  # not the record's fault
                raise
            except Exception as error:  # array_record and TFDS raise errors of any type
                self._note(index, error)
            index += 1

    def _note(self, index: int, error: Exception) -> None:
        new = index not in self.damaged
        self.damaged.add(index)
        many = len(self.damaged) > max(FEWEST, int(SHARE * len(self)))
        if many or len(self.damaged) == len(self):
            # Stored, because TensorFlow, in whose threads records are read, loses exceptions.
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
