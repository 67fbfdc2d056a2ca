"""When nobody was there to take webhooks: told on start, as an event, by the clock that the last landing left."""

from datetime import datetime, timedelta

import duckdb

from holdtime.reconciler.found import observed
from ingest.log import Origin, Record
from processors.history import EPOCH
from warehouse.query import value

EVENT_TYPE = "reconciler.ingest.down"
NOTICED = timedelta(minutes=2)
"""A running holdtime lands once a minute, if only the time; a gap of less than this is none."""


def outage(db: duckdb.DuckDBPyConnection, now: datetime) -> Record | None:
    """The time since anything landed in this warehouse, be it only time, as a record; None if it is short."""
    judged_us = value(db, "select epoch_us(judged_at) from warehouse")
    if judged_us is None:
        return None
    since = EPOCH + timedelta(microseconds=judged_us)
    if now - since < NOTICED:
        return None
    said = {"start": since.isoformat(), "end": now.isoformat()}
    body = observed(EVENT_TYPE, since, said).body
    return Record(body, int(now.timestamp() * 1_000_000), Origin.RECONCILER, verified=False)
