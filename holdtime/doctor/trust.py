"""The checks of completeness: how far the numbers of the last days can be trusted."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb

from holdtime.doctor.checks import Check, Severity
from reports import humanize
from warehouse.instants import instant
from warehouse.query import value

DAYS = 7
OVERDUE = timedelta(hours=6)
"""Reconciling hourly, the last hour that was read to its end ended two hours ago, unless something is wrong."""

_LAST_DAYS = """
select
    strftime(day, '%Y-%m-%d'),
    sum(heard + reconciled + replayed) / nullif(sum(heard + reconciled + replayed + missing), 0),
    sum(contradictions)::bigint,
    max(down_ms)::bigint,
    max(checked_hours)
from completeness
where day >= ?
group by day
order by day
"""

_READ_UP_TO = """
select max(epoch_us(try_cast(payload ->> '$.end' as timestamptz)))
from events
where event_type = 'reconciler.window.completed'
and payload ->> '$.source' in ('webhook_deliveries', 'call_events')
"""


def checks(db: duckdb.DuckDBPyConnection, now: datetime, *, floor: float, reconciles: bool) -> Iterator[Check]:
    """The completeness of the last week and, where there is a key, whether reconciling keeps up."""
    rows = db.execute(_LAST_DAYS, [(now - timedelta(days=DAYS)).date()]).fetchall()
    yield _completeness(rows, floor, reconciles=reconciles)
    if reconciles:
        yield _reconciled(db, now)


def _completeness(rows: list[tuple[str, float | None, int, int, int]], floor: float, *, reconciles: bool) -> Check:
    low = [f"{day} {humanize.percent(score)}" for day, score, *_ in rows if score is not None and score < floor]
    contradictions = sum(count for _, _, count, _, _ in rows)
    down_ms = sum(each for *_, each, _ in rows)
    unchecked = sum(not hours for *_, hours in rows)
    said = []
    if low:
        said.append(f"below the floor of {humanize.percent(floor)}: {', '.join(low)}")
    if contradictions:
        said.append(f"{contradictions:,} contradictions")
    if down_ms:
        said.append(f"ingest was down for {humanize.age(down_ms)}")
    if unchecked:
        said.append(f"{unchecked} of {len(rows)} days rest on webhooks alone")
    if not said:
        return Check("completeness", Severity.OK, f"nothing is known to be missing from the last {DAYS} days")
    key = "" if reconciles else "set TELNYX_API_KEY; "
    do = f"{key}`holdtime reconcile --once --since {DAYS}d` asks Telnyx; `holdtime report completeness` shows each type"
    return Check("completeness", Severity.NOTE, "; ".join(said), do)


def _reconciled(db: duckdb.DuckDBPyConnection, now: datetime) -> Check:
    read_us = value(db, _READ_UP_TO)
    do = "start `holdtime up` or `holdtime reconcile`; where one runs, its log says why: look for source_not_read"
    if read_us is None:
        return Check("reconciler", Severity.NOTE, "no list of what Telnyx sent was ever read to its end", do)
    read = f"Telnyx's list of what it sent was read up to {instant(read_us):%Y-%m-%d %H:%M} UTC"
    if now - instant(read_us) > OVERDUE:
        return Check("reconciler", Severity.FAILED, f"{read}, and no further", do)
    return Check("reconciler", Severity.OK, read)
