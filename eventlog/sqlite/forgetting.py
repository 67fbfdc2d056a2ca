"""Forgetting records of the SQLite log: each function is a step that the writer takes between two commits."""

import sqlite3

from eventlog.sqlite.file import marked
from eventlog.sqlite.mark import FORGOTTEN, SALVAGED
from eventlog.sqlite.schema import committed, put_mark

_FIRST = "select min(last_position) from groups where last_position > ?"
_FORGET = "delete from groups where last_position between ? and ? and newest_us < ? returning last_position, records"


def skip_to(position: int, connection: sqlite3.Connection) -> None:
    """Have the log give positions after `position`, as if all before had landed and were forgotten."""
    with committed(connection):
        put_mark(connection, FORGOTTEN, position)
        put_mark(connection, SALVAGED, 0)


def first_after(position: int, connection: sqlite3.Connection) -> int | None:
    """Return the last position of the first group after `position`; None where there is no such group."""
    first: int | None = connection.execute(_FIRST, (position,)).fetchone()[0]
    return first


def forget_between(first: int, last: int, before_us: int, connection: sqlite3.Connection) -> int:
    """Drop the groups that end in those positions and were received before `before_us`; return how many records."""
    with committed(connection):
        dropped = connection.execute(_FORGET, (first, last, before_us)).fetchall()
        if dropped:
            newest = max(position for position, _ in dropped)
            put_mark(connection, FORGOTTEN, max(newest, marked(connection, FORGOTTEN)))
    return sum(records for _, records in dropped)
