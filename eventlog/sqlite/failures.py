"""The meaning of SQLite's errors: the file is damaged, or it cannot be written now."""

import contextlib
import sqlite3
from collections.abc import Iterator

from eventlog.log import LogUnavailableError
from eventlog.sqlite.header import DamagedLogError

_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,  # no such table or column, an unsupported format: our statements are right
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
}
_COLLISION = {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID}
"""The codes for a position that is taken: the file did not say how far it reached."""


def is_damage(error: BaseException | None) -> bool:
    """Say whether SQLite raised this for the content of the file, and not for a lock or the disk."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)
        return code & 0xFF in _DAMAGE or code in _COLLISION
    return isinstance(error, (DamagedLogError, MemoryError, OverflowError))


@contextlib.contextmanager
def as_damage() -> Iterator[None]:
    """Raise DamagedLogError where SQLite finds the file damaged."""
    try:
        yield
    except (sqlite3.Error, MemoryError, OverflowError) as error:
        if is_damage(error):
            raise DamagedLogError(f"SQLite says: {error}") from error
        raise


_REMEDIES = {
    sqlite3.SQLITE_FULL: "; make room on its disk",
    sqlite3.SQLITE_READONLY: "; make the file, its folder and its disk writable",
    sqlite3.SQLITE_IOERR: "; look at the disk (dmesg), and at whether it has room and is mounted",
}


def unwritable(error: Exception, file: str) -> LogUnavailableError:
    """Return what to raise where the file could not be written, with what to do about it."""
    # An extended code has the plain one in its lowest byte.
    remedy = _REMEDIES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
    unavailable = LogUnavailableError(f"{file} could not be written: {error}{remedy}")
    unavailable.__cause__ = error
    return unavailable
