"""Who has a DuckDB file open: asked of the system, without opening it with DuckDB."""

import fcntl
import os
import struct
import sys
from pathlib import Path

from warehouse.errors import LockedError, locked

_LINUX = struct.Struct("hhqqi")
"""`struct flock`: type, whence, start, length (0 is to the end), process."""


def writer(path: Path) -> int | None:
    """Return the process that has the file open for writing, or None. Only Linux says it. Raises OSError."""
    if sys.platform != "linux":
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        kind, pid = _conflict(descriptor, fcntl.F_RDLCK)
        return None if kind == fcntl.F_UNLCK else pid
    finally:
        os.close(descriptor)


def holder(path: Path) -> LockedError | None:
    """Return the error that a writer would meet now, naming who has the file, or None; this process must not have it.

    Only Linux is asked who it is. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        if sys.platform == "linux":
            kind, pid = _conflict(descriptor, fcntl.F_WRLCK)
            return None if kind == fcntl.F_UNLCK else locked(path, pid)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return locked(path, None)
        return None
    finally:
        os.close(descriptor)


def _conflict(descriptor: int, wanted: int) -> tuple[int, int]:
    """Return the kind of the lock that one of the `wanted` kind would meet, and the process that has it."""
    kind, _, _, _, pid = _LINUX.unpack_from(
        fcntl.fcntl(descriptor, fcntl.F_GETLK, _LINUX.pack(wanted, os.SEEK_SET, 0, 0, 0))
    )
    return kind, pid
