"""Files copied whole, and what makes a copy last."""

import os
import shutil
from pathlib import Path

COPY_BYTES = 16 << 20


def copy_file(source: Path, target: Path) -> None:
    """Copy a file that stands still; the copy belongs to its owner alone (mode 0600). Raises OSError."""
    descriptor = os.open(source, os.O_RDONLY)
    try:
        copy_open_file(descriptor, target)
    finally:
        os.close(descriptor)


def copy_open_file(descriptor: int, target: Path) -> None:
    """Copy the file that is open as `descriptor`, which stays open; on some file systems both share their blocks."""
    with (
        open(descriptor, "rb", closefd=False) as original,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as copy,
    ):
        original.seek(0)
        try:
            left = os.fstat(original.fileno()).st_size
            while left > 0 and (moved := os.copy_file_range(original.fileno(), copy.fileno(), left)):
                left -= moved
        except (AttributeError, OSError):  # not on this system, or not between these two file systems
            original.seek(0)
            copy.seek(0)
            copy.truncate()
            try:
                shutil.copyfileobj(original, copy, COPY_BYTES)
                copy.flush()
            except OSError as error:
                error.filename = error.filename or str(target)
                raise


def sync_file(path: Path) -> None:
    """See to it that the file's content is on the disk, and its name. Raises OSError."""
    _sync(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """See to it that what was renamed in the folder stays so when the power fails. Raises OSError."""
    _sync(folder)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
