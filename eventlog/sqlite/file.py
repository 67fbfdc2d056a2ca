"""The SQLite log's file: how it is opened, by one writer and many readers, and its marks."""

import fcntl
import os
import sqlite3
from pathlib import Path

from eventlog.sqlite import header as sqlite_header
from eventlog.sqlite import wal as sqlite_wal
from eventlog.sqlite.failures import as_damage
from eventlog.sqlite.header import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    DamagedLogError,
    UnusableLogError,
)
from eventlog.sqlite.mark import (
    FORGOTTEN,
    OLDER,
    Mark,
)
from eventlog.sqlite.schema import (
    committed,
    make,
    upgrade,
)

__all__ = ["APPLICATION_ID", "DamagedLogError", "UnusableLogError"]


def lock_path(path: Path) -> Path:
    """Return the side file that a log's writer holds locked."""
    return path.with_name(path.name + ".lock")


class WriterLock:
    """The right of one process to write a log: a lock on a side file, which the kernel frees when the process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock for the log at `path`, or raise UnusableLogError."""
        self._descriptor = os.open(lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise UnusableLogError(
                f"{path} already has a writer, process {holder}: stop it, or set HOLDTIME_LOG to another file"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process write. The side file stays: were it removed, two writers could lock two files."""
        os.close(self._descriptor)


def make_folder(folder: Path) -> None:
    """Make the folder and those above it where they are missing, durably: acknowledged records depend on them."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in made:
        sync_folder(each.parent)


def open_writer(path: Path, *, was_used: bool = False) -> sqlite3.Connection:
    """Open the log for writing, making it if it is not there. The caller holds the WriterLock.

    `was_used` says that there was a log here before. The file is for its owner only: bodies are personal data. Raises
    UnusableLogError; DamagedLogError for a log that cannot be used, or has lost records that were written to it.
    """
    existed = path.exists()
    written = sqlite_wal.frames(path)
    if existed or written:
        sqlite_header.require_whole(path, was_used=was_used, has_wal=bool(written))
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    # A short wait for locks: only another program could hold one, and deliveries wait too.
    connection = sqlite3.connect(
        path, timeout=0.1, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        with as_damage():
            if written:
                _require_all_frames(connection, sqlite_wal.last_commit(written))
            _prepare(connection, path)
            last_position(connection)
    except DamagedLogError as damage:
        damage.connection = connection
        raise
    except BaseException:
        connection.close()
        raise
    if not existed:
        sync_folder(path.parent)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the log for reading, in any process, also while it is written. Texts are given as bytes.

    Raises UnusableLogError, DamagedLogError or sqlite3.Error.
    """
    if path.exists() and not path.stat().st_size:
        # SQLite would remove the write-ahead log beside it, which may hold all records.
        raise UnusableLogError(f"{path} is empty: `holdtime up` goes on with what the write-ahead log beside it holds")
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = bytes
    try:
        with as_damage():
            _check(connection, path)
    except DamagedLogError:
        connection.close()
        sqlite_header.require_ours(path)
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    tables = connection.execute("select count(*) from sqlite_schema").fetchone()[0]
    is_new = tables == 0 and _pragma(connection, "application_id") == 0
    if not is_new:
        if _pragma(connection, "application_id") == APPLICATION_ID:
            upgrade(connection)
        _check(connection, path)
    mode = connection.execute("pragma journal_mode = wal").fetchone()[0]
    if mode != "wal":
        raise UnusableLogError(f"{path} cannot be in WAL mode, it is in {mode}: put the log on a local disk")
    connection.execute("pragma synchronous = full")  # a commit returns when the WAL is on the disk
    connection.execute("pragma fullfsync = on")  # macOS: through the drive's own cache too; nothing elsewhere
    connection.execute("pragma wal_autocheckpoint = 4000")
    connection.execute("pragma journal_size_limit = 67108864")
    if is_new:
        with committed(connection):
            make(connection)


def last_position(connection: sqlite3.Connection) -> int:
    """Return the last position that was given; 0 in a new log. Raises DamagedLogError."""
    (last,) = connection.execute("select max(last_position) from groups").fetchone()
    return max(last or 0, marked(connection, FORGOTTEN, OLDER))


def marked(connection: sqlite3.Connection, *names: bytes) -> int:
    """Return the last position of the marks of those names, 0 where there is none. Raises DamagedLogError."""
    select = "select cast(name as blob), position, checksum from marks"
    marks = [Mark._make(row) for row in connection.execute(select)]
    if not all(mark.is_sound() for mark in marks):
        raise DamagedLogError("a mark fails its checksum")
    return max((mark.position for mark in marks if mark.name in names), default=0)


def _require_all_frames(connection: sqlite3.Connection, last_commit: int) -> None:
    """Raise DamagedLogError where SQLite has not read every frame that was committed to the WAL."""
    taken = connection.execute("pragma wal_checkpoint(passive)").fetchone()[1]
    if last_commit > max(taken, 0):
        raise DamagedLogError(
            f"its WAL can be read up to frame {max(taken, 0)} only, and was committed up to frame {last_commit}",
            taken=max(taken, 0),
        )


def _check(connection: sqlite3.Connection, path: Path) -> None:
    application = _pragma(connection, "application_id")
    version = _pragma(connection, "user_version")
    if application != APPLICATION_ID:
        raise UnusableLogError(f"{path} is another application's database, not a log: set HOLDTIME_LOG to another file")
    if version != SCHEMA_VERSION:
        raise UnusableLogError(
            f"{path} is a log of version {version}, this program reads version {SCHEMA_VERSION}: "
            "use the program that wrote it, or set HOLDTIME_LOG to another file"
        )


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"pragma {name}").fetchone()[0]
    return value


def sync_folder(folder: Path) -> None:
    """Make the names of files in the folder durable, not only their content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
