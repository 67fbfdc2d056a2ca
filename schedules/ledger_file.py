"""The ledger's file: its schema, how it is opened, and what becomes of one that is damaged."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import structlog

from eventlog.sqlite import salvage
from eventlog.sqlite import wal as sqlite_wal
from eventlog.sqlite.failures import is_damage
from schedules import integrity
from schedules.integrity import NotWholeError

APPLICATION_ID = int.from_bytes(b"hsch")
SCHEMA_VERSION = 2

_SCHEMA = """
create table schedules (  -- since when a schedule has been known with these times: it misses nothing before that
    name     text    not null primary key,
    times    text    not null,
    since_us integer not null
) without rowid;
create table runs (
    schedule   text    not null,
    kind       text    not null,
    due_us     integer not null,  -- the time that the cron expression named, or at which somebody asked
    started_us integer not null,
    state      text    not null,
    reason     text    not null default '',
    message    blob,              -- what is sent, until everybody has it
    primary key (schedule, kind, due_us)
) without rowid;
create table deliveries (
    schedule  text    not null,
    kind      text    not null,
    due_us    integer not null,
    recipient text    not null,   -- Recipient.key
    label     text    not null,
    state     text    not null,
    attempts  integer not null default 0,
    at_us     integer not null,   -- when the state began
    reason    text    not null default '',
    primary key (schedule, kind, due_us, recipient)
) without rowid
"""
_AFTER_DAMAGE = "nothing that was due until now is sent: `holdtime schedule --now NAME` sends what is missing"

log = structlog.get_logger("schedule")


class LedgerError(Exception):
    """The file is no ledger, or cannot be one. The text says what was expected and what to do."""


def opened(path: Path) -> sqlite3.Connection:
    """Open the ledger for writing, making it if it is not there. Raises LedgerError.

    One that is damaged is set aside. A new one sends nothing that was due before, so nothing is sent twice.
    """
    if path.exists() and not path.stat().st_size:
        log.warning("ledger_was_empty", ledger=str(path), do=_AFTER_DAMAGE)
    try:
        try:
            return _connected(path)
        except (NotWholeError, sqlite3.DatabaseError) as error:
            if (not isinstance(error, NotWholeError) and not is_damage(error)) or not _is_ours(path):
                raise
            aside = salvage.move_aside(path, datetime.now(UTC))
            if isinstance(error, NotWholeError) and error.db is not None:
                error.db.close()
            log.error("ledger_damaged", reason=str(error), set_aside=str(aside), do=_AFTER_DAMAGE)
            return _connected(path)
    except (sqlite3.Error, OSError, NotWholeError) as error:
        raise LedgerError(f"{path} cannot be used: {error}; set HOLDTIME_SCHEDULES to another file") from None


def _connected(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)
    written = sqlite_wal.frames(path)
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        integrity.register(db)
        if written:
            _require_all_frames(db, path, written)
        _prepare(db, path)
        check(db, path)
    except NotWholeError as error:
        error.db = db
        raise
    except BaseException:
        db.close()
        raise
    return db


def _require_all_frames(db: sqlite3.Connection, path: Path, written: list[sqlite_wal.Frame]) -> None:
    """Raise NotWholeError where SQLite did not take all that was committed to the WAL, and nobody writes just now."""
    taken = db.execute("pragma wal_checkpoint(passive)").fetchone()[1]
    if sqlite_wal.last_commit(written) > max(taken, 0) and sqlite_wal.frames(path) == written:
        raise NotWholeError("its WAL cannot be read to its end")


def _is_ours(path: Path) -> bool:
    """Whether a file that cannot be used was a ledger: its first page says so, in one of several places.

    A ledger that is new has it in its WAL only.
    """
    for each in (path, sqlite_wal.path_of(path)):
        found = each.read_bytes() if each.exists() else b""
        if found[68:72] == APPLICATION_ID.to_bytes(4) or b"create table deliveries" in found:
            return True
    return False


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("select count(*) from sqlite_schema").fetchone()[0]:
        _upgrade(db)
        _require_ours(db, path)
    elif _identity(db) != (0, 0):
        raise NotWholeError("its tables are gone")
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")  # what is about to be sent is on the disk before it is sent
    db.execute("pragma fullfsync = on")
    if not db.execute("select count(*) from sqlite_schema").fetchone()[0]:
        db.execute("begin immediate")
        if not db.execute("select count(*) from sqlite_schema").fetchone()[0]:
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            integrity.begin(db)
            db.execute(f"pragma application_id = {APPLICATION_ID}")
            db.execute(f"pragma user_version = {SCHEMA_VERSION}")
        db.execute("commit")


def _upgrade(db: sqlite3.Connection) -> None:
    """Give a ledger of the first version a sum of its rows."""
    if _identity(db) != (APPLICATION_ID, 1):
        return
    db.execute("begin immediate")
    if _identity(db) == (APPLICATION_ID, 1):  # nobody else has, meanwhile
        integrity.begin(db)
        db.execute(f"pragma user_version = {SCHEMA_VERSION}")
    db.execute("commit")


def _identity(db: sqlite3.Connection) -> tuple[int, ...]:
    return tuple(db.execute(f"pragma {name}").fetchone()[0] for name in ("application_id", "user_version"))


def check(db: sqlite3.Connection, path: Path) -> None:
    """Raise LedgerError where the file is no ledger; NotWholeError, sqlite3.Error where it is damaged."""
    _require_ours(db, path)
    integrity.require_whole(db)


def _require_ours(db: sqlite3.Connection, path: Path) -> None:
    if _identity(db) != (APPLICATION_ID, SCHEMA_VERSION):
        raise LedgerError(f"{path} is not a ledger of schedules: set HOLDTIME_SCHEDULES to another file")
