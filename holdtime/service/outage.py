"""Whether ingest was down before this process began, by what the last landing and the log left."""

from datetime import datetime

import duckdb

from eventlog.log import Record
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
