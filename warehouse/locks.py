"""Who has a DuckDB file open: asked of the system, without opening it with DuckDB."""

import fcntl
import os
import struct
import sys
from pathlib import Path

from warehouse.errors import LockedError, locked

_LINUX = struct.Struct("hhqqi")
"""`struct flock`: type, whence, start, length (0 is to the end), process."""


def holder(path: Path) -> LockedError | None:
    """Return the error that a writer would meet now, naming who has the file, or None; this process must not have it.

    Only Linux is asked who it is. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        if sys.platform == "linux":
            wanted = _LINUX.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = _LINUX.unpack_from(fcntl.fcntl(descriptor, fcntl.F_GETLK, wanted))
            return None if kind == fcntl.F_UNLCK else locked(path, pid)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return locked(path, None)
        return None
    finally:
        os.close(descriptor)
