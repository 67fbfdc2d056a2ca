"""The warehouse's write-ahead log as a file: where it is, and whether it ends in the middle of an entry."""

import os
import struct
from pathlib import Path

_VERSION_ENTRY = bytes.fromhex("640062650002ffff")
"""How a log of version 2 begins; each entry after it is its size, a checksum, and so many bytes."""

_ENTRY = struct.Struct("<QQ")


def beside(warehouse: Path) -> Path:
    """Return the path of the write-ahead log of a DuckDB file."""
    return warehouse.with_name(f"{warehouse.name}.wal")


def foreign(database: Path) -> Path | None:
    """Return the write-ahead log beside a file that nobody may write, or None: such a log is another program's.

    Raises OSError.
    """
    log = beside(database)
    is_published = not database.stat().st_mode & 0o222
    return log if is_published and log.exists() else None


def unread_bytes(wal: Path) -> int:
    """Return how many bytes at the end DuckDB will pass over without a word, because they are no whole entry.

    A process that was killed while it wrote leaves some; so does damage to an entry's size. Raises OSError.
    """
    try:
        descriptor = os.open(wal, os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        size = os.fstat(descriptor).st_size
        if os.pread(descriptor, len(_VERSION_ENTRY), 0) != _VERSION_ENTRY:
            return size
        at = len(_VERSION_ENTRY)
        while at < size:
            head = os.pread(descriptor, _ENTRY.size, at)
            if len(head) < _ENTRY.size:
                break
            end = at + _ENTRY.size + _ENTRY.unpack(head)[0]
            if end > size:
                break
            at = end
        return size - at
    finally:
        os.close(descriptor)
