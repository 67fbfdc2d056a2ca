"""Whether all that was received up to an instant has landed in the replica, as far as log and replica can say."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from ingest import sqlite_file
from ingest.log import Extent
from ingest.sqlite_file import DamagedError, UnusableLogError
from ingest.sqlite_log import PARTITION, SqliteLog
from processors.history import instant
from warehouse.query import value

LogEnd = Callable[[], Extent | None]
"""How far the log reaches; None where that cannot be said from here."""

_DELIVERED_WITHIN = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Records land in the order in which the log took them in: where the last one came after the instant, all before it are
# there; an earlier one may have come while the clock was wrong, and so may a stale one. What is received late may have
# occurred any time, but looking back a day finds enough, and costs no full scan.
_RECEIVED_SINCE = """
select log_partition
from (
    select log_partition, log_offset, received_at from stored_events
    where occurred_at >= make_timestamptz($occurred)
    union all
    select log_partition, log_offset, received_at from rejected
    where received_at >= make_timestamptz($occurred)
    and reason <> 'stale'
)
group by log_partition
having max_by(received_at, log_offset) >= make_timestamptz($until)
"""


def log_end(log: Path) -> LogEnd:
    """Return how to ask the SQLite log at a path for its end, without being its writer."""

    def end() -> Extent | None:
        if not log.exists():
            return None  # perhaps it is elsewhere
        try:
            connection = sqlite_file.open_reader(log)
        except (UnusableLogError, DamagedError, sqlite3.Error):
            return None
        try:
            return Extent({PARTITION: sqlite_file.last_position(connection)}, SqliteLog.FIRST_OFFSET)
        except (DamagedError, sqlite3.Error):
            return None
        finally:
            connection.close()

    return end


def lacking(db: duckdb.DuckDBPyConnection, log: Extent | None, until: datetime) -> str | None:
    """Return what is missing of that which was received before `until`; None when nothing is.

    `log` is how far the log reached before the replica was opened, so that what came in between does not count. Where
    it is not known, the time by which the facts were evaluated has to be beyond `until`.
    """
    landed = dict(db.execute("select log_partition, log_offset from log_positions").fetchall())
    behind = 0 if log is None else log.lag(landed)
    if log is not None and not behind:
        return None
    asked = {"occurred": _us(until - _DELIVERED_WITHIN), "until": _us(until)}
    beyond = {partition for (partition,) in db.execute(_RECEIVED_SINCE, asked).fetchall()}
    if landed and beyond >= landed.keys():
        return None
    if log is not None:
        return f"{behind:,} records of the log are not in the replica yet"
    judged = value(db, "select epoch_us(judged_at) from warehouse")
    if judged is not None and instant(judged) >= until:
        return None
    return f"nothing has landed that was received after {until:%Y-%m-%d %H:%M} UTC, and the log cannot be asked"


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
