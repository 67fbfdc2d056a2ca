"""Whether all that was received up to an instant has landed in the replica, as far as log and replica can say."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from eventlog.log import LogExtent
from eventlog.sqlite import file as sqlite_file
from eventlog.sqlite.file import DamagedLogError, UnusableLogError
from eventlog.sqlite.log import SqliteLog
from reconciler.outage import EVENT_TYPE as OUTAGE
from reconciler.outage import MAX_OUTAGE, MIN_OUTAGE
from reconciler.windows import EVENT_TYPE as WINDOW
from warehouse.instants import EPOCH, MICROSECOND, instant
from warehouse.query import value

LogEnd = Callable[[], LogExtent | None]
"""How far the log reaches; None where it cannot be asked from here."""

_DELIVERED_WITHIN = timedelta(days=1)

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

_DOWN_AT = f"""
with marks as (
    select
        event_type,
        payload ->> '$.source' as source,
        (payload ->> '$.start')::timestamptz as begun_at,
        (payload ->> '$.end')::timestamptz as ended_at
    from events
    where occurred_at >= make_timestamptz($from)
    and occurred_at < make_timestamptz($until)
    and event_type in ('{OUTAGE}', '{WINDOW}')
)
select epoch_us(begun_at), epoch_us(ended_at)
from marks as down
where event_type = '{OUTAGE}'
and begun_at < make_timestamptz($until)
and ended_at >= make_timestamptz($until)
and not exists (
    from marks as window_read
    where window_read.event_type = '{WINDOW}'
    and window_read.source = 'webhook_deliveries'
    and window_read.begun_at <= down.begun_at
    and window_read.ended_at >= make_timestamptz($until)
)
order by begun_at
limit 1
"""


def log_end(log: Path) -> LogEnd:
    """Return how to ask the SQLite log at a path for its end, without being its writer."""

    def end() -> LogExtent | None:
        if not log.exists():
            return None  # perhaps it is elsewhere
        try:
            connection = sqlite_file.open_reader(log)
        except (UnusableLogError, DamagedLogError, sqlite3.Error):
            return None
        try:
            return LogExtent({SqliteLog.PARTITION: sqlite_file.last_position(connection)}, SqliteLog.FIRST_OFFSET)
        except (DamagedLogError, sqlite3.Error):
            return None
        finally:
            connection.close()

    return end


def last_landing(warehouse: Path) -> datetime | None:
    """Return when the last landing was, if only of time; None where the warehouse is elsewhere."""
    written = []
    for path in (warehouse, warehouse.with_name(f"{warehouse.name}.wal")):
        with suppress(OSError):
            written.append(path.stat().st_mtime)
    return datetime.fromtimestamp(max(written), UTC) if written else None


def lacking(
    db: duckdb.DuckDBPyConnection, log: LogExtent | None, until: datetime, *, landed_at: datetime | None = None
) -> str | None:
    """Say which records that were received before `until` have not landed; None when all have.

    `log` is how far the log reached before the replica was opened, so later records do not count. Where it is None, the
    facts' evaluation time has to be after `until`. `landed_at` is the time of the last landing, None where it cannot be
    said; a landing long before `until` means that no process was there to receive anything.
    """
    landed = dict(db.execute("select log_partition, log_offset from log_positions").fetchall())
    behind = 0 if log is None else log.lag(landed)
    if log is not None and not behind and (landed_at is None or landed_at >= until - MIN_OUTAGE):
        return None
    asked = {"occurred": _us(until - _DELIVERED_WITHIN), "until": _us(until)}
    beyond = {partition for (partition,) in db.execute(_RECEIVED_SINCE, asked).fetchall()}
    if landed and beyond >= landed.keys():
        return None
    if behind:
        return f"{behind:,} records of the log are not in the replica yet"
    judged = value(db, "select epoch_us(judged_at) from warehouse")
    if judged is not None and instant(judged) >= until:
        return None
    if log is not None:
        return f"nothing has landed since {landed_at:%Y-%m-%d %H:%M} UTC, before the period ended: start `holdtime up`"
    return f"nothing has landed that was received after {until:%Y-%m-%d %H:%M} UTC, and the log cannot be asked"


def outage(db: duckdb.DuckDBPyConnection, until: datetime) -> str | None:
    """Say from when to when ingest was down, if it was down at `until`; else None.

    None too where the reconciler has since read the webhooks that Telnyx sent meanwhile.
    """
    asked = {"from": _us(until - MAX_OUTAGE), "until": _us(until)}
    rows = db.execute(_DOWN_AT, asked).fetchall()
    if not rows:
        return None
    start, end = (instant(us) for us in rows[0])
    return f"ingest was down from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC, over the end of the period"


def _us(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND
