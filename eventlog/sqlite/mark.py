"""Marks: positions that the SQLite log keeps about itself, each with a checksum."""

from typing import NamedTuple, Self
from zlib import crc32

FORGOTTEN = b"forgotten"
"""Up to this position everything has landed: a missing position was forgotten, or never given."""

OLDER = b"older"
"""Up to this position an older version wrote the log: a missing position may never have been given."""

SALVAGED = b"salvaged"
"""The log was salvaged from a damaged one that ended here or later: only the warehouse can tell."""


class Mark(NamedTuple):
    """A position with its name. `name` is bytes: a damaged one may be no UTF-8."""

    name: bytes
    position: int
    checksum: int

    @classmethod
    def of(cls, name: bytes, position: int) -> Self:
        """Return the mark with its checksum."""
        return cls(name, position, _checksum(name, position))

    def is_sound(self) -> bool:
        """Say whether the mark is as it was written."""
        return self.checksum == _checksum(self.name, self.position)


def _checksum(name: bytes, position: int) -> int:
    return crc32(repr((name, position)).encode())
