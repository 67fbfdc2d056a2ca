"""The checks of the replica: its age, its lag behind the log, and contents that need a look."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from eventlog.log import DAMAGED, LogExtent
from holdtime.config.configuration import Publish
from holdtime.config.settings import Settings
from holdtime.doctor.checks import Check, Severity
from holdtime.service import replica_access
from reports import humanize
from reports.request import queue_names
from reports.source import Source
from warehouse import locks
from warehouse.instants import EPOCH, MICROSECOND, instant
from warehouse.query import value
from warehouse.wal import beside

MAX_LAG = timedelta(minutes=1)
"""What is in the log has landed and is in the replica after this long, unless something is wrong."""

OFF = timedelta(seconds=5)
"""A clock that is off by less is not worth a word; Telnyx's tolerance is 300 s."""

# Bounded: the newest day says what the clock does now. The median, because one event from the future is no clock.
_AHEAD_US = """
select quantile_disc(epoch_us(occurred_at) - epoch_us(received_at), 0.5)
from stored_events
where occurred_at >= make_timestamptz($from)
and origin = 'webhook'
and occurred_at_source <> 'received_at'
"""

# The first three by name.
_STRAYS = """
select string_agg(said, '; ' order by log_partition, log_offset)
from (
    select
        log_partition,
        log_offset,
        concat(event_id, ' (', event_type, ') says ', strftime(occurred_at, '%Y-%m-%d %H:%M:%S'), ' UTC') as said
    from stray_events
    order by log_partition, log_offset
    limit 3
)
"""


@dataclass(frozen=True, slots=True)
class _Counted:
    """A table whose rows are worth a note. `examples` is a query for the end of the sentence."""

    name: str
    table: str
    found: str
    do: str
    examples: str = ""
    none: str = ""
    """The note of an empty table; there is none where this is empty."""


_COUNTED = (
    _Counted(
        "contradictions",
        "contradictions",
        "events do not count, because their id came with another content too",
        "see the table contradictions; the bodies of all of them are in stored_events",
        none="no event id came with two contents",
    ),
    _Counted(
        "told twice",
        "told_twice",
        "events do not count, because they are equal to another in everything but their id",
        "see the table told_twice; the bodies of all of them are in stored_events",
    ),
    _Counted(
        "strays",
        "stray_events",
        "events with a time more than a year away from all that came with them: ",
        "see the table stray_events; reports without --from leave such times out",
        examples=_STRAYS,
    ),
)


def access(path: Path, publish: Publish) -> Iterator[Check]:
    """Whether another program can write, or did write, what is published; nothing where all is well."""
    if (log := beside(path)).exists():
        yield Check(
            "readers",
            Severity.FAILED,
            f"{log} is there: a program opened the replica for writing, and readers see its changes, too",
            "open the replica read-only there; `holdtime up` removes the file within seconds, else remove it yourself",
        )
    if (pid := locks.writer(path)) is not None:
        yield Check("readers", Severity.FAILED, f"process {pid} has {path} open for writing", "open it read-only there")
    try:
        wanted = replica_access.of(publish)
    except ValueError as error:
        yield Check("readers", Severity.FAILED, str(error))
        return
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode != wanted.mode or wanted.group not in {None, found.st_gid}:
        yield Check(
            "readers",
            Severity.NOTE,
            f"{path} has mode {mode:04o} and group {found.st_gid}, the settings say mode {wanted.mode:04o}"
            + ("" if wanted.group is None else f" and group {wanted.group}"),
            "the next replica that `holdtime up` publishes has them",
        )


def age(source: Source, now: datetime) -> Check:
    return Check("replica", Severity.OK, f"published {humanize.age(_age_ms(source, now))} ago")


def _age_ms(source: Source, now: datetime) -> float:
    return 0 if source.published_at is None else (now - source.published_at) / timedelta(milliseconds=1)


def contents(source: Source, log: LogExtent | None, now: datetime) -> Iterator[Check]:
    """The checks of what the replica holds."""
    if log is not None:
        yield _lag(source, log, now)
    yield _clock(source.db, now)
    yield _rejected(source.db)
    for each in _COUNTED:
        yield from _counted(source.db, each)


def queues(configured: Settings, source: Source) -> Iterator[Check]:
    """Whether the queues that the configuration names are there; nothing where it names none."""
    defined = [each.name for each in configured.configuration.queue]
    named = {"[[queue]]": defined} if defined else {}
    for schedule in configured.configuration.schedule:
        if queues := schedule.filters.get("queues"):
            named[f"schedule {schedule.name}"] = [*queues]
    missing = {where: found for where, names in named.items() if (found := queue_names.unheard(source, names))}
    for where, found in missing.items():
        do = "correct the name in the configuration, unless that queue is yet to come"
        yield Check("queues", Severity.NOTE, f"{where}: {found}", do)
    if named and not missing:
        count = len({name for names in named.values() for name in names})
        yield Check("queues", Severity.OK, f"{count:,} named in the configuration, none of them unknown")


def _lag(source: Source, log: LogExtent, now: datetime) -> Check:
    landed = dict(source.basis().positions)
    for partition, end in log.ends.items():
        if end < landed.get(partition, -1):
            return Check(
                "lag",
                Severity.FAILED,
                f"the log ends at position {end:,}, but the warehouse has landed up to {landed[partition]:,}",
                "put back the log that the warehouse was made from, or move this one away",
            )
    lag = log.lag(landed)
    if lag and _age_ms(source, now) > MAX_LAG / timedelta(milliseconds=1):
        return Check(
            "lag",
            Severity.FAILED,
            f"{lag:,} records of the log are not in the replica",
            "start `holdtime up`; where it runs, its log says why: look for not_landed and replica_not_published",
        )
    return Check("lag", Severity.OK, f"{lag:,} records of the log are not in the replica yet")


def _clock(db: duckdb.DuckDBPyConnection, now: datetime) -> Check:
    judged = value(db, "select epoch_us(judged_at) from warehouse")
    if judged is not None and instant(judged) > now + OFF:
        return Check(
            "clock",
            Severity.FAILED,
            f"this machine says {now:%Y-%m-%d %H:%M:%S} UTC, the last landing said {instant(judged):%Y-%m-%d %H:%M:%S}",
            "set the clock; when it is right the next landing, or `holdtime rebuild`, evaluates waits by it again",
        )
    day_ago = (now - timedelta(days=1) - EPOCH) // MICROSECOND
    ahead_us = value(db, _AHEAD_US, {"from": day_ago})
    if ahead_us is not None and ahead_us > OFF / MICROSECOND:
        return Check(
            "clock",
            Severity.FAILED,
            f"half of the last day's events came {humanize.age(ahead_us / 1000)} or more before they happened",
            "set this machine's clock: it is behind, and at 300 s nothing is let in",
        )
    return Check("clock", Severity.OK, "as far as events tell")


def _rejected(db: duckdb.DuckDBPyConnection) -> Check:
    rows = db.execute("select reason, count(*) from rejected group by reason order by count(*) desc, reason").fetchall()
    if not rows:
        return Check("rejected", Severity.OK, "nothing")
    do = "`holdtime rejected list`"
    reasons = {reason for reason, _ in rows}
    if "stale" in reasons:
        do += "; those that are stale are authentic: `holdtime rejected replay --reason stale` lands them"
    if DAMAGED in reasons:
        do += (
            "; those that are damaged were lost from the log: `holdtime reconcile --once --since` asks Telnyx for them"
        )
    return Check("rejected", Severity.NOTE, ", ".join(f"{count:,} {reason}" for reason, count in rows), do)


def _counted(db: duckdb.DuckDBPyConnection, each: _Counted) -> Iterator[Check]:
    count = value(db, f"select count(*) from {each.table}")
    if count:
        examples = value(db, each.examples) if each.examples else ""
        yield Check(each.name, Severity.NOTE, f"{count:,} {each.found}{examples}", each.do)
    elif each.none:
        yield Check(each.name, Severity.OK, each.none)
