"""The first page of a SQLite log, before SQLite reads it: is this a log of ours, and is its header whole?

Format: https://www.sqlite.org/fileformat2.html#the_database_header
"""

import sqlite3
from pathlib import Path
from struct import unpack_from

from eventlog.sqlite.wal import PAGE_BYTES

APPLICATION_ID = int.from_bytes(b"hold")
SCHEMA_VERSION = 3

_MAGIC = b"SQLite format 3\0"
_OURS = (b"last_position", b"create table records")
"""Texts of the schema of every version, one of which is on a log's first page."""


class UnusableLogError(Exception):
    """The file cannot be used as a log; the text says why and what to do. Trying again does not help."""


class DamagedLogError(Exception):
    """The file is a log, and is damaged or has lost records. The text says how that is known.

    `taken` is the number of frames of its WAL that SQLite could read, where that is known. `connection` is the open
    connection, if there is one: closing it would remove that WAL.
    """

    def __init__(self, text: str, *, taken: int | None = None) -> None:
        super().__init__(text)
        self.taken = taken
        self.connection: sqlite3.Connection | None = None


def require_ours(path: Path, *, was_used: bool = False) -> None:
    """Raise UnusableLogError where the file is plainly something else than a log, whole or damaged.

    The header of a damaged log still names the application, or its first page holds our schema. Where the page tells
    nothing, `was_used` says that there was a log here before.
    """
    page = _first_page(path)
    if not page or (was_used and not page.startswith(_MAGIC)) or any(text in page for text in _OURS):
        return
    if not page.startswith(_MAGIC):
        raise UnusableLogError(f"{path} is not a SQLite database: set HOLDTIME_LOG to another file")
    application, tables = _application(page), _tables(page)
    if application != APPLICATION_ID and (application or tables):
        raise UnusableLogError(f"{path} is another application's database, not a log: set HOLDTIME_LOG to another file")


def require_whole(path: Path, *, was_used: bool, has_wal: bool) -> None:
    """Raise DamagedLogError where the header of an existing log differs from that of every sound log.

    `has_wal` says that there is a WAL with frames, which may hold a newer header and more pages.
    """
    page = _first_page(path)
    if not page:
        if has_wal or was_used:
            raise DamagedLogError("it is empty")
        return
    if page.startswith(_MAGIC) and not _application(page) and not _tables(page):
        return  # a new file, not written to yet
    if fault := _fault(page):
        raise DamagedLogError(f"its header is damaged: {fault}")
    pages, size = unpack_from(">I", page, 28)[0], path.stat().st_size
    if not has_wal and pages * PAGE_BYTES != size:
        raise DamagedLogError(f"it has {size:,} bytes, its header says {pages * PAGE_BYTES:,}")


def _fault(page: bytes) -> str | None:
    """Return the name of the first field that no sound log has so; None where there is none."""
    expected = {
        "no SQLite file": page.startswith(_MAGIC),
        "page size": page[16:18] == PAGE_BYTES.to_bytes(2),
        "file format": page[18:20] in {b"\1\1", b"\2\2"},
        "fractions": page[20:24] == b"\0\x40\x20\x20",
        "schema format": unpack_from(">I", page, 44)[0] == 4,
        "vacuum": not any(page[52:56]) and not any(page[64:68]),
        "encoding": unpack_from(">I", page, 56)[0] == 1,
        "application id": _application(page) == APPLICATION_ID,
        "reserved": not any(page[72:92]),
    }
    return next((name for name, holds in expected.items() if not holds), None)


def _first_page(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(PAGE_BYTES)
    except FileNotFoundError:
        return b""


def _application(page: bytes) -> int:
    return int.from_bytes(page[68:72])


def _tables(page: bytes) -> int:
    """Return the least number of tables and indexes that the file has."""
    return int.from_bytes(page[103:105])
