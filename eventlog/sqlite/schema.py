"""The SQLite log's tables, and how those of older versions become them."""

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from eventlog.sqlite.group import Group
from eventlog.sqlite.header import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    DamagedLogError,
)
from eventlog.sqlite.mark import OLDER, Mark

# The writer gives positions. AUTOINCREMENT would cost another page in each commit.
_GROUPS = """
create table groups (  -- of records that were committed together, and are alike but for their bodies
    last_position integer primary key,  -- the records have this position and those before it
    records       integer not null,  -- how many they are
    origin        text    not null,  -- webhook, reconciler, replay
    verified      integer not null,  -- 1: their signatures were checked
    rejection     text,              -- why they are kept but not landed; null for almost all
    newest_us     integer not null,  -- when the last of them was received
    checksum      integer not null,  -- CRC-32 of all the rest of the row (eventlog/sqlite/group.py)
    received_us   blob    not null,  -- an int64 each: Unix time in microseconds, our clock
    sizes         blob    not null,  -- an int32 each: the bytes of a body; both little-endian
    signatures    blob    not null,  -- 64 bytes each; empty where they came without
    timestamps    blob    not null,  -- 12 bytes each: the digits that were signed, and zeros; empty likewise
    bodies        blob    not null   -- one after the other, byte for byte as they came
)
"""
_MARKS = """
create table marks (  -- what the log remembers of itself (eventlog/sqlite/mark.py)
    name     text    not null,
    position integer not null,
    checksum integer not null
)
"""
COLUMNS: Final = ", ".join(Group._fields)
INSERT: Final = f"insert into groups ({COLUMNS}) values "
ROW: Final = f"({', '.join('?' * len(Group._fields))})"

_TABLES = {
    1: {"records": ["position", "received_us", "origin", "verified", "rejection", "body"]},
    2: {
        "groups": [
            "last_position", "records", "origin", "verified", "rejection", "newest_us", "received_us", "sizes", "bodies"
        ]
    },
    3: {"groups": list(Group._fields)},
}  # fmt: skip
_FROM = {
    1: """
        select position, 1, origin, verified, rejection, received_us, 0, received_us, length(body), x'', x'', body
        from records order by position
    """,
    2: """
        select last_position, records, origin, verified, rejection, newest_us, 0, received_us, sizes, x'', x'', bodies
        from older order by last_position
    """,
}


def make(connection: sqlite3.Connection) -> None:
    """Make the tables of a log, in the caller's transaction."""
    connection.execute(_GROUPS)
    connection.execute(_MARKS)
    connection.execute(f"pragma application_id = {APPLICATION_ID}")
    connection.execute(f"pragma user_version = {SCHEMA_VERSION}")


@contextlib.contextmanager
def committed(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit every change made meanwhile, or none of them."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def put_mark(connection: sqlite3.Connection, name: bytes, position: int) -> None:
    """Set a mark; position 0 removes it."""
    connection.execute("delete from marks where name = ?", [name.decode()])
    if position:
        mark = Mark.of(name, position)
        connection.execute("insert into marks values (?, ?, ?)", [name.decode(), position, mark.checksum])


def insert(connection: sqlite3.Connection, group: Group) -> None:
    """Write a group, in the caller's transaction."""
    connection.execute(INSERT + ROW, values_of(group))


def values_of(group: Group) -> tuple[object, ...]:
    """Return the values to bind for a group: texts are texts in the file."""
    rejection = None if group.rejection is None else group.rejection.decode()
    return (*group[:2], group.origin.decode(), group.verified, rejection, *group[5:])


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring a log of an older version up to date. Raises DamagedLogError where it has not the tables of its version."""
    (version,) = connection.execute("pragma user_version").fetchone()
    expected = _TABLES.get(version)
    if expected is None:
        if (version ^ SCHEMA_VERSION).bit_count() == 1 and _holds(connection, _TABLES[SCHEMA_VERSION]):
            raise DamagedLogError(f"its header names version {version}, and its tables are those of {SCHEMA_VERSION}")
        return  # of a newer program
    if not _holds(connection, expected):
        raise DamagedLogError(f"it has not the tables of version {version}")
    if version == SCHEMA_VERSION:
        return
    with committed(connection):
        _copy(connection, version)


def _holds(connection: sqlite3.Connection, tables: dict[str, list[str]]) -> bool:
    return all(
        [row[1] for row in connection.execute(f"pragma table_info({table})")] == columns
        for table, columns in tables.items()
    )


def _copy(connection: sqlite3.Connection, version: int) -> None:
    """Write every row anew, with a checksum. A position that is missing is no damage: it may never have been given."""
    table, older = ("records", "records") if version == 1 else ("groups", "older")
    if older != table:
        connection.execute(f"alter table {table} rename to {older}")
    make(connection)
    read = connection.cursor()
    for row in read.execute(_FROM[version]):
        insert(connection, _group_of_older(row, version))
    # AUTOINCREMENT's own table, in which a renamed table is renamed too
    (last,) = connection.execute("select max(seq) from sqlite_sequence").fetchone()
    put_mark(connection, OLDER, last or 0)
    connection.execute(f"drop table {older}")


def _group_of_older(row: tuple[Any, ...], version: int) -> Group:
    values = [each.encode() if isinstance(each, str) else each for each in row]
    if version == 1:  # one record, whose time and size were numbers
        values[7], values[8] = (int(values[7]).to_bytes(8, "little", signed=True), int(values[8]).to_bytes(4, "little"))
    return Group._make(values).with_checksum()
