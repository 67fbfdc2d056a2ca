"""`holdtime rejected`: records that are no events, shown safely, and landed again after a fix."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import duckdb
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eventlog.log import DAMAGED
from holdtime.config.settings import ConfigurationError, Settings
from holdtime.service import store
from processors.landing.landed import Landed
from processors.landing.reprocess import reprocess
from reports import humanize
from warehouse.instants import instant
from warehouse.query import value

BEGINNING_BYTES = 60
BODY_CHARACTERS = 2_000

_REASONS = """
select reason, count(*), sum(octet_length(body))::bigint, epoch_us(min(received_at)), epoch_us(max(received_at))
from rejected
where $reason is null or reason = $reason
group by reason
order by count(*) desc, reason
"""

# Only the beginning of a body is read, unless all of it is asked for.
_ROWS = """
select
    reason,
    epoch_us(received_at),
    origin,
    verified,
    octet_length(body),
    if($bodies, body, body[1:{beginning}]),
    log_partition,
    log_offset
from rejected
where $reason is null or reason = $reason
order by received_at desc, log_partition desc, log_offset desc
limit $most
""".replace("{beginning}", str(BEGINNING_BYTES))


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many records were rejected for one reason, their bytes, and when the first and the last of them came."""

    reason: str
    records: int
    size: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A rejected record. `body` is its beginning, or all of it where bodies were asked for."""

    reason: str
    received_at: datetime
    origin: str
    verified: bool
    size: int
    body: bytes
    log_partition: int
    log_offset: int

    def beginning(self) -> str:
        """The first bytes as text in which no number can be read: a body may hold telephone numbers."""
        return re.sub(r"\d", "#", self.body[:BEGINNING_BYTES].decode(errors="replace"))


def reasons(db: duckdb.DuckDBPyConnection, reason: str | None) -> list[ReasonCount]:
    """Count the rejected records by reason, the most frequent first."""
    rows = db.execute(_REASONS, {"reason": reason}).fetchall()
    return [
        ReasonCount(reason, records, size, instant(first), instant(last)) for reason, records, size, first, last in rows
    ]


def newest(db: duckdb.DuckDBPyConnection, reason: str | None, *, most: int, bodies: bool) -> list[RejectedRecord]:
    """The newest records; with the whole `body` only if asked for, else with its beginning."""
    rows = db.execute(_ROWS, {"reason": reason, "most": most, "bodies": bodies}).fetchall()
    return [RejectedRecord(row[0], instant(row[1]), *row[2:]) for row in rows]


def as_json(found: list[ReasonCount], rows: list[RejectedRecord], *, bodies: bool) -> str:
    """The list for machines. A body that is no UTF-8 is given as base64."""
    return json.dumps(
        {
            "reasons": [
                {
                    "reason": each.reason,
                    "records": each.records,
                    "bytes": each.size,
                    "first_at": each.first_at.isoformat(),
                    "last_at": each.last_at.isoformat(),
                }
                for each in found
            ],
            "records": [
                {
                    "reason": row.reason,
                    "received_at": row.received_at.isoformat(),
                    "origin": row.origin,
                    "verified": row.verified,
                    "bytes": row.size,
                    "log_partition": row.log_partition,
                    "log_offset": row.log_offset,
                    **(_whole(row.body) if bodies else {"beginning": row.beginning()}),
                }
                for row in rows
            ],
        },
        indent=2,
    )


def _whole(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def renderable(found: list[ReasonCount], rows: list[RejectedRecord], zone: ZoneInfo, *, bodies: bool) -> RenderableType:
    """The list for people, in their zone."""
    if not found:
        return Text("Nothing was rejected.", style="green")
    return Group(*_tables(found, rows, zone, bodies=bodies))


def _tables(
    found: list[ReasonCount], rows: list[RejectedRecord], zone: ZoneInfo, *, bodies: bool
) -> Iterator[RenderableType]:
    summary = Table("Reason", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("Records", "Bytes", "First", "Last"):
        summary.add_column(name, justify="right", no_wrap=True)
    for each in found:
        first, last = humanize.moment(each.first_at, zone), humanize.moment(each.last_at, zone)
        summary.add_row(
            Text(humanize.name(each.reason)), humanize.number(each.records), humanize.number(each.size), first, last
        )
    yield summary
    yield Text(f"The newest {len(rows)}, times in {zone.key}:", style="bold")
    table = Table("Received", "Reason", "Came from", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Bytes", justify="right")
    table.add_column("Log", justify="right", no_wrap=True)
    table.add_column("Body" if bodies else "Begins with (digits hidden)", overflow="fold")
    for row in rows:
        text = row.body.decode(errors="replace")[:BODY_CHARACTERS] if bodies else row.beginning()
        table.add_row(
            humanize.moment(row.received_at.replace(microsecond=0), zone),
            Text(humanize.name(row.reason)),
            Text(row.origin if row.verified else f"{row.origin}, unverified", style="" if row.verified else "yellow"),
            humanize.number(row.size),
            f"{row.log_partition}:{row.log_offset}",
            Text(humanize.plain(text)),
        )
    yield table


def replay(settings: Settings, reason: str | None) -> Iterator[tuple[Landed, int]]:
    """Land rejected records again, of one reason or any; yields the outcome so far, and how many records there are.

    Needs the warehouse to itself. At the end it publishes the replica and, from a log on Kafka, the facts that changed.
    Raises ConfigurationError, WarehouseError.
    """
    environment = settings.environment
    if not environment.warehouse.exists():
        raise ConfigurationError([f"HOLDTIME_WAREHOUSE: {environment.warehouse} does not exist: nothing was rejected"])
    with store.opened_warehouse(settings) as warehouse:
        total = value(
            warehouse.db,
            f"select count(*) from rejected where ($reason is null or reason = $reason) and reason <> '{DAMAGED}'",
            {"reason": reason},
        )
        landed = Landed(0, 0, 0, 0, 0, {})
        for batch in reprocess(warehouse.db, warehouse.landing, reason=reason, clock=lambda: datetime.now(UTC)):
            landed += batch
            yield landed, total
        warehouse.publisher.publish()
