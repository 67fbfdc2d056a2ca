"""Whether ingest was down before this process began, by what the last landing and the log left."""

from datetime import datetime

import duckdb

from eventlog.log import Log, LogUnavailableError, Record
from eventlog.sqlite.log import SqliteLog
from reconciler.outage import between
from warehouse.instants import instant
from warehouse.query import value


def outage(db: duckdb.DuckDBPyConnection, now: datetime, *, heard_at: datetime | None = None) -> Record | None:
    """Return the time since the last landing, which may have landed only time, as a record; None if it is short.

    `heard_at` is when the log last took a delivery: it may have taken some while nothing landed.
    """
    judged_us = value(db, "select epoch_us(judged_at) from warehouse")
    if judged_us is None:
        return None
    judged_at = instant(judged_us)
    return between(max(judged_at, heard_at or judged_at), now)


def last_received(log: Log) -> datetime | None:
    """Return when a log in a file received its last record; None where it has none, or cannot be read now."""
    if not isinstance(log, SqliteLog):
        return None
    try:
        ends = log.end()
        last = log.read({partition: end - 1 for partition, end in ends.items()}, 1)
    except LogUnavailableError:
        return None
    times = last.table["received_at"].to_pylist()
    return times[-1] if times else None
