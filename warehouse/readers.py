"""The databases that this process reads: of each file one, which all of its readers share.

Whoever reads the replica gets a connection here, whatever else the process has open, and to the file that is there at
that moment. One that has been replaced stays open for as long as somebody reads it, and no longer: then the disk has
its room back.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from warehouse.database import CATALOG, READING_MEMORY, open_reader, require_file
from warehouse.errors import explained

LITTLE_MEMORY = "64MB"
"""For looks beside other work, as against reports."""


@dataclass(frozen=True, slots=True)
class _Key:
    path: Path
    inode: tuple[int, int]
    written_ns: int
    memory_limit: str

    @classmethod
    def of(cls, path: Path, memory_limit: str) -> "_Key":
        found = path.stat()
        return cls(path.absolute(), (found.st_dev, found.st_ino), found.st_mtime_ns, memory_limit)


@dataclass(slots=True)
class _Shared:
    db: duckdb.DuckDBPyConnection
    readers: int = 0


_open: dict[_Key, _Shared] = {}
_lock = threading.Lock()


@dataclass(slots=True)
class Reader:
    """A connection of one's own, for one thread at a time, to the file that was there when it was made."""

    db: duckdb.DuckDBPyConnection
    published_at: datetime
    _key: _Key = field(repr=False)

    def is_of_the_newest(self) -> bool:
        """Say whether the file is still the one at its path. Raises OSError, FileNotFoundError where there is none."""
        return _Key.of(self._key.path, self._key.memory_limit) == self._key

    def close(self) -> None:
        """Let go of the file; the last of its readers closes it."""
        with _lock:
            self.db.close()
            shared = _open[self._key]
            shared.readers -= 1
            if not shared.readers:
                del _open[self._key]
                shared.db.close()


def opened(path: Path, *, memory_limit: str = READING_MEMORY) -> Reader:
    """Return a reader of the warehouse or replica that is at `path` now; whoever asks closes it.

    Those with the same limit of memory share it. Raises WarehouseError where the file is absent, damaged or foreign,
    OSError where its folder may not be looked into.
    """
    require_file(path)
    with _lock:
        with explained(path):
            key = _Key.of(path, memory_limit)
        shared = _open.get(key) or _Shared(open_reader(path, memory_limit=memory_limit))
        db = shared.db.cursor()
        db.execute(f"use {CATALOG}")  # a new connection is in none
        shared.readers += 1
        _open[key] = shared
    return Reader(db, datetime.fromtimestamp(key.written_ns / 1e9, UTC), key)


@contextmanager
def reading(path: Path, *, memory_limit: str = READING_MEMORY) -> Iterator[Reader]:
    """Yield a reader (`opened`), and close it."""
    reader = opened(path, memory_limit=memory_limit)
    try:
        yield reader
    finally:
        reader.close()
