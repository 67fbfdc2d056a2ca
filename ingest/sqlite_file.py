"""The SQLite log's file: its schema, how it is opened, and that only one process writes it."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from struct import pack

APPLICATION_ID = int.from_bytes(b"hold")
SCHEMA_VERSION = 2

# AUTOINCREMENT: a position is never given twice, even after the newest records were forgotten.
_SCHEMA = """
create table groups (  -- of records that were committed together, and are alike but for their bodies
    last_position integer primary key autoincrement,  -- the records have this position and those before it
    records       integer not null,  -- how many they are
    origin        text    not null,  -- webhook, reconciler, replay
    verified      integer not null,  -- 1: their signatures were checked
    rejection     text,              -- why they are kept but not landed; null for almost all
    newest_us     integer not null,  -- when the last of them was received
    received_us   blob    not null,  -- an int64 each: Unix time in microseconds, our clock
    sizes         blob    not null,  -- an int32 each: the bytes of a body; both little-endian
    bodies        blob    not null   -- one after the other, byte for byte as they came
)
"""
_LAST = "select seq from sqlite_sequence where name = 'groups'"

# From one row a record, which the first version had.
_UPGRADE = """
insert into groups
select position, 1, origin, verified, rejection, received_us, int64(received_us), int32(length(body)), body
from records
order by position;
update sqlite_sequence
set seq = (select seq from sqlite_sequence where name = 'records')
where name = 'groups';
insert into sqlite_sequence
select 'groups', seq from sqlite_sequence
where name = 'records' and not exists (select 1 from sqlite_sequence where name = 'groups');
drop table records
"""


class UnusableLogError(Exception):
    """The file cannot be this program's log as things are; the text says why and what to do. Trying again is no use."""


class WriterLock:
    """The right to write one log, held by one process: a lock on a side file, freed by the kernel when we die."""

    def __init__(self, path: Path) -> None:
        """Take the lock for the log at `path`, or raise UnusableLogError."""
        self._descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
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
        """Let another process write. The side file stays: removing it would let two writers lock two files."""
        os.close(self._descriptor)


def make_folder(folder: Path) -> None:
    """Make the folder and those above it, if they are not there, durably: what is lost with them was answered 200."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in made:
        _sync_folder(each.parent)


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the log for writing, making it if it is not there; raise UnusableLogError. The caller holds the WriterLock.

    The file is for its owner only: bodies are personal data.
    """
    existed = path.exists()
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    # A short wait for locks: only somebody else's tool could hold one, and deliveries wait too.
    connection = sqlite3.connect(
        path, timeout=0.1, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    if not existed:
        _sync_folder(path.parent)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the log for reading, in any process, also while it is written; raise UnusableLogError or sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1, isolation_level=None, check_same_thread=False
    )
    try:
        _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    with _as_unusable(path):
        tables = connection.execute("select count(*) from sqlite_schema").fetchone()[0]
        is_new = tables == 0 and _pragma(connection, "application_id") == 0
    if not is_new:
        if (_pragma(connection, "application_id"), _pragma(connection, "user_version")) == (APPLICATION_ID, 1):
            _upgrade(connection)
        _check(connection, path)
    mode = connection.execute("pragma journal_mode = wal").fetchone()[0]
    if mode != "wal":
        raise UnusableLogError(f"{path} cannot be in WAL mode, it is in {mode}: put the log on a local disk")
    connection.execute("pragma synchronous = full")  # a commit returns when the WAL is on the disk
    connection.execute("pragma fullfsync = on")  # macOS: through the drive's own cache too; nothing elsewhere
    connection.execute("pragma wal_autocheckpoint = 4000")
    connection.execute("pragma journal_size_limit = 67108864")
    if is_new:
        connection.execute("begin immediate")
        connection.execute(_SCHEMA)
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute(f"pragma user_version = {SCHEMA_VERSION}")
        connection.execute("commit")


def _upgrade(connection: sqlite3.Connection) -> None:
    connection.create_function("int64", 1, lambda number: pack("<q", number), deterministic=True)
    connection.create_function("int32", 1, lambda number: pack("<i", number), deterministic=True)
    connection.execute("begin immediate")
    try:
        connection.execute(_SCHEMA)
        for statement in _UPGRADE.split(";"):
            connection.execute(statement)
        connection.execute(f"pragma user_version = {SCHEMA_VERSION}")
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


def last_position(connection: sqlite3.Connection) -> int:
    """Return the last position that was given; 0 in a new log."""
    row = connection.execute(_LAST).fetchone()
    return row[0] if row else 0


def _check(connection: sqlite3.Connection, path: Path) -> None:
    with _as_unusable(path):
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


@contextlib.contextmanager
def _as_unusable(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError:
        raise  # locked, or an I/O error: another matter than what is in the file
    except sqlite3.DatabaseError as error:
        raise UnusableLogError(
            f"{path} is not a SQLite database ({error}): set HOLDTIME_LOG to another file"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make the new file's name durable, not only its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
