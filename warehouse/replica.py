"""The replica: a copy of the warehouse that readers open while we go on writing."""

import os
import shutil
from pathlib import Path

import duckdb

COPY_BYTES = 16 << 20


def publish(db: duckdb.DuckDBPyConnection, warehouse: Path, replica: Path) -> None:
    """Put a copy of the warehouse as it is now where readers look for it, in one step.

    A reader has either the old copy, until it closes it, or the new one. Call it from the writer's own thread: the
    file stands still only while nothing is committed. On a file system that can share blocks the copy costs nothing.
    Raises OSError or
    duckdb.IOException when there is no room; what was published before then stays.
    """
    db.execute("checkpoint")
    replica.parent.mkdir(parents=True, exist_ok=True)
    unfinished = replica.with_name(f".{replica.name}.unfinished")
    try:
        _copy(warehouse, unfinished)
        unfinished.replace(replica)
    finally:
        unfinished.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    with (
        open(_kept_open(source), "rb", closefd=False) as original,
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
            shutil.copyfileobj(original, copy, COPY_BYTES)


_descriptors: dict[Path, int] = {}


def _kept_open(source: Path) -> int:
    """A descriptor of the file, opened once and kept for as long as it is that file.

    A process that closes any descriptor of a file gives up all of its POSIX locks on it. DuckDB's own lock, which keeps
    a second writer out of the warehouse, would be gone with the first copy.
    """
    descriptor = _descriptors.get(source)
    if descriptor is None or not os.path.samestat(os.fstat(descriptor), source.stat()):
        _descriptors[source] = os.open(source, os.O_RDONLY)
        if descriptor is not None:
            os.close(descriptor)
    return _descriptors[source]
