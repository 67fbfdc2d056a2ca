"""Whether a ledger holds what was written to it: a sum of checksums of all rows, kept by triggers.

A flipped bit in a row can make a run that was sent look as if it had never begun. The sum is checked when a ledger is
opened, and before a run begins; a ledger forgets runs after a while, so that there is never much to check.
"""

import sqlite3
from zlib import crc32

_TABLES = {
    "schedules": ("name", "times", "since_us"),
    "runs": ("schedule", "kind", "due_us", "started_us", "state", "reason", "message"),
    "deliveries": ("schedule", "kind", "due_us", "recipient", "label", "state", "attempts", "at_us", "reason"),
}


class NotWholeError(Exception):
    """The ledger does not hold what was written to it. The text says how that shows.

    `db` is open where it was opened: closing it would remove a WAL.
    """

    db: sqlite3.Connection | None = None


def register(db: sqlite3.Connection) -> None:
    """Give the connection the function that the triggers use, and have them see rows that are replaced.

    A damaged text may be no UTF-8, and is read all the same.
    """
    db.execute("pragma recursive_triggers = on")
    db.text_factory = lambda text: text.decode(errors="surrogateescape")
    db.create_function("row_checksum", -1, _checksum, deterministic=True)


def begin(db: sqlite3.Connection) -> None:
    """Make the sum and its triggers, over what is there now, in a transaction of the caller's."""
    db.execute("create table integrity (sum integer not null)")
    db.execute("insert into integrity values (?)", [_sum(db)])
    for table, columns in _TABLES.items():
        old, new = (
            f"row_checksum('{table}', {', '.join(f'{of}.{each}' for each in columns)})" for of in ("old", "new")
        )
        for event, change in (("insert", new), ("update", f"{new} - {old}"), ("delete", f"-{old}")):
            db.execute(
                f"create trigger {table}_{event} after {event} on {table} "
                f"begin update integrity set sum = sum + {change}; end"
            )


def _call(table: str, values: list[str]) -> str:
    return f"row_checksum('{table}', {', '.join(values)})"


def require_whole(db: sqlite3.Connection) -> None:
    """Raise NotWholeError, or sqlite3.Error, where the ledger is damaged."""
    db.execute("begin")  # one state of it, whoever writes meanwhile
    try:
        sums = db.execute("select sum from integrity").fetchall()
        found = _sum(db)
    finally:
        db.execute("rollback")
    if sums != [(found,)]:
        raise NotWholeError("its rows are not as they were written")


def _sum(db: sqlite3.Connection) -> int:
    return sum(
        _checksum(table, *row)
        for table, columns in _TABLES.items()
        for row in db.execute(f"select {', '.join(columns)} from {table}")
    )


def _checksum(*values: object) -> int:
    return crc32(repr(values).encode())
