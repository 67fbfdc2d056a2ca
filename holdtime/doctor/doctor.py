"""`holdtime doctor`: whether everything is as it should be, what is open, and what to do. It changes nothing."""

import asyncio
import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPException
from pathlib import Path

import duckdb

from eventlog.log import (
    DAMAGED,
    Extent,
    LogUnavailableError,
)
from eventlog.sqlite import salvage
from holdtime.config import settings
from holdtime.config.schedules import context_of
from holdtime.config.settings import (
    ConfigurationError,
    Environment,
    Settings,
)
from holdtime.doctor import deliveries as deliveries_check
from holdtime.doctor import (
    open_work,
    soundness,
    trust,
)
from holdtime.doctor.checks import Check, Severity
from holdtime.doctor.open_work import OpenWork
from holdtime.service import event_log
from holdtime.service.requirements import EXPECTED, fault_lines, public_keys, require_apart
from ingest.signing.signature import UnusableKeyError
from reports import humanize
from reports.errors import SourceError
from reports.request import queue_names
from reports.source import Source, opened
from schedules.ledger import LedgerError
from schedules.status import statuses
from warehouse import os_error
from warehouse.instants import instant
from warehouse.query import value

MAX_LAG = timedelta(minutes=1)
"""What is in the log has landed and is in the replica after this long, unless something is wrong."""

CANNOT_LOOK = (*EXPECTED, LogUnavailableError, SourceError)
"""What keeps one check from looking, and no other."""

OFF = timedelta(seconds=5)
"""A clock that is off by less is not worth a word; Telnyx's tolerance is 300 s."""

_MAX_STATUS_BYTES = 1 << 20

# Bounded: the newest day says what the clock does now. The median, because one event from the future is no clock.
_AHEAD_US = """
select quantile_disc(epoch_us(occurred_at) - epoch_us(received_at), 0.5)
from stored_events
where occurred_at >= make_timestamptz($from)
and origin = 'webhook'
and occurred_at_source <> 'received_at'
"""


@dataclass(frozen=True, slots=True)
class Examination:
    """All checks, and the open work where there is a replica to find it in."""

    checks: tuple[Check, ...]
    open_work: tuple[OpenWork, ...]
    at: datetime
    timezone: str = "UTC"

    @property
    def failed(self) -> bool:
        return any(check.verdict is Severity.FAILED for check in self.checks)


def examine(
    config: Path, *, now: datetime, most: int, deep: bool = False, on_progress: Callable[[str], None] = lambda _: None
) -> Examination:
    """Check everything that can be checked, also while `holdtime up` runs and before it ever did; never raises for it.

    `most` bounds the open items that are named one by one. With `deep` all of the warehouse and the replica is read;
    `on_progress` gets how far that is.
    """
    try:
        configured = settings.load(config)
    except ConfigurationError as error:
        faults = (Check("configuration", Severity.FAILED, fault) for fault in error.faults)
        return Examination(tuple(faults), (), now)
    environment, timezone = configured.environment, configured.configuration.timezone
    checks = [Check("configuration", Severity.OK, "can be used"), *_places(environment)]
    log, extent = _log(configured)
    checks += [*_set_aside(configured), log, *soundness.checks(environment, deep=deep, on_progress=on_progress)]
    checks += [*_server(environment), *_schedules(configured, now)]
    if any(check.name == "replica" for check in checks):
        return Examination(tuple(checks), (), now, timezone)  # damaged: what it says means nothing
    try:
        with opened(environment.replica) as source:
            checks += [_replica(source, now), *_inside(source, extent, now), *_queues(configured, source)]
            checks += _trust(configured, source, now)
            return Examination(tuple(checks), tuple(open_work.kinds(source.db, most=most)), now, timezone)
    except CANNOT_LOOK as error:
        if not isinstance(error, SourceError) or not is_absent(environment.replica) or (extent and extent.held):
            checks += (Check("replica", Severity.FAILED, fault) for fault in fault_lines(error))
        else:
            checks.append(Check("replica", Severity.NOTE, "not there yet", "`holdtime up` publishes it"))
    return Examination(tuple(checks), (), now, timezone)


def is_absent(path: Path) -> bool:
    """Say whether there is certainly no such file: where we may not look, there may be one."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _places(environment: Environment) -> Iterator[Check]:
    try:
        keys = public_keys(environment.public_key)
        yield Check("keys", Severity.OK, f"{len(keys)} public key{'s' if len(keys) > 1 else ''}")
    except UnusableKeyError as error:
        yield Check("keys", Severity.FAILED, str(error))
    try:
        log = () if environment.log_is_kafka else (environment.log_path,)
        require_apart(*log, environment.warehouse, environment.replica)
    except EXPECTED as error:
        yield Check("files", Severity.FAILED, "; ".join(fault_lines(error)))


def _log(configured: Settings) -> tuple[Check, Extent | None]:
    """The log, and how far it reaches; None where that cannot be said."""
    environment = configured.environment
    try:
        log = event_log.of(configured)
        if not environment.log_is_kafka and is_absent(environment.log_path):
            absent = Check("log", Severity.NOTE, f"{environment.log_path} is not there yet", "`holdtime up` makes it")
            return absent, Extent({}, log.FIRST_OFFSET)
        if not environment.log_is_kafka and not os.access(environment.log_path, os.R_OK):
            path = environment.log_path
            return Check("log", Severity.FAILED, f"{path} cannot be read", os_error.denied(path)), None
        try:
            extent = Extent.of(log)
        finally:
            asyncio.run(log.close())
    except CANNOT_LOOK as error:
        return Check("log", Severity.FAILED, "; ".join(fault_lines(error))), None
    return Check("log", Severity.OK, f"holds {extent.held:,} records"), extent


def _set_aside(configured: Settings) -> Iterator[Check]:
    """The damaged files that are still beside those that took their places."""
    environment, spool = configured.environment, configured.configuration.kafka.spool
    try:
        log = spool if environment.log_is_kafka else environment.log_path
    except ValueError:
        log = None  # said where the log is opened
    for path in (log, environment.schedules):
        for each in salvage.set_aside(path) if path else ():
            yield Check(
                "damage",
                Severity.NOTE,
                f"{each} was damaged and set aside: {path} goes on with what could be read of it",
                "`holdtime reconcile --once --since` asks Telnyx for what is lost; then remove the file",
            )


def _server(environment: Environment) -> Iterator[Check]:
    """Whether the server answers, and what it says of the deliveries that came to it."""
    is_apart = environment.admin_port is not None
    host = environment.admin_host if is_apart else environment.http_host
    port = environment.admin_port if is_apart else environment.http_port
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asks
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is ours: no proxy stands before it
    try:
        with direct.open(f"{address}/status", timeout=2) as answer:
            status = json.loads(answer.read(_MAX_STATUS_BYTES))
        lag, deliveries = status["lag_events"], status.get("deliveries")
        behind = "" if lag is None else f", {lag:,} records behind the log"
        checks = [Check("server", Severity.OK, f"answers at {address}{behind}")]
        checks += [deliveries_check.of(deliveries)] if deliveries else []
    except (ValueError, KeyError, TypeError, AttributeError):
        do = "see HOLDTIME_ADMIN_PORT" if is_apart else "see HOLDTIME_HTTP_PORT"
        checks = [Check("server", Severity.NOTE, f"something else answers at {address}", do)]
    except (OSError, HTTPException):
        checks = [Check("server", Severity.NOTE, f"nothing answers at {address}", "start `holdtime up`")]
    yield from checks


def _schedules(configured: Settings, now: datetime) -> Iterator[Check]:
    """What was not sent, and who cannot be reached; nothing where there are no schedules."""
    if not configured.configuration.schedule:
        return
    faults = [fault for each in configured.configuration.schedule for fault in each.unreachable(os.environ)]
    yield from (Check("schedules", Severity.FAILED, fault) for fault in faults)
    try:
        found = statuses(context_of(configured), now)
    except (LedgerError, *EXPECTED) as error:
        yield Check("schedules", Severity.FAILED, "; ".join(fault_lines(error)))
        return
    troubles = [trouble for each in found for trouble in each.troubles()]
    do = "`holdtime schedule --status` shows all, `holdtime schedule --now NAME` sends anew"
    yield from (Check("schedules", Severity.FAILED, trouble, do) for trouble in troubles)
    if not faults and not troubles:
        coming = min((each for each in found if each.next_at), key=lambda each: each.next_at or now)
        at = humanize.moment(coming.next_at, coming.times.zone)
        yield Check(
            "schedules", Severity.OK, f"{len(found)}, the next is {coming.name} at {at} ({coming.times.zone.key})"
        )


def _replica(source: Source, now: datetime) -> Check:
    return Check("replica", Severity.OK, f"published {humanize.age(_age_ms(source, now))} ago")


def _age_ms(source: Source, now: datetime) -> float:
    return 0 if source.published_at is None else (now - source.published_at) / timedelta(milliseconds=1)


def _inside(source: Source, log: Extent | None, now: datetime) -> Iterator[Check]:
    """What the replica says."""
    if log is not None:
        yield _lag(source, log, now)
    yield _clock(source.db, now)
    yield _rejected(source.db)
    yield _contradictions(source.db)
    yield from _told_twice(source.db)
    yield from _strays(source.db)


def _queues(configured: Settings, source: Source) -> Iterator[Check]:
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


def _trust(configured: Settings, source: Source, now: datetime) -> Iterator[Check]:
    reconciles = bool(configured.environment.api_key.get_secret_value())
    yield from trust.checks(source.db, now, floor=configured.configuration.completeness.floor, reconciles=reconciles)


def _lag(source: Source, log: Extent, now: datetime) -> Check:
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
    day_ago = (now - timedelta(days=1) - instant(0)) // timedelta(microseconds=1)
    ahead_us = value(db, _AHEAD_US, {"from": day_ago})
    if ahead_us is not None and ahead_us > OFF / timedelta(microseconds=1):
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


def _contradictions(db: duckdb.DuckDBPyConnection) -> Check:
    count = value(db, "select count(*) from contradictions")
    if not count:
        return Check("contradictions", Severity.OK, "no event id came with two contents")
    return Check(
        "contradictions",
        Severity.NOTE,
        f"{count:,} events do not count, because their id came with another content too",
        "see the table contradictions; the bodies of all of them are in stored_events",
    )


def _told_twice(db: duckdb.DuckDBPyConnection) -> Iterator[Check]:
    if count := value(db, "select count(*) from told_twice"):
        yield Check(
            "told twice",
            Severity.NOTE,
            f"{count:,} events do not count, because they are equal to another in everything but their id",
            "see the table told_twice; the bodies of all of them are in stored_events",
        )


def _strays(db: duckdb.DuckDBPyConnection) -> Iterator[Check]:
    """The events of a wrong clock, the first three by name."""
    count = value(db, "select count(*) from stray_events")
    if not count:
        return
    rows = db.execute(
        """
        select event_id, event_type, strftime(occurred_at, '%Y-%m-%d %H:%M:%S') as occurred_at
        from stray_events
        order by log_partition, log_offset
        limit 3
        """
    ).fetchall()
    named = "; ".join(f"{event_id} ({event_type}) says {occurred_at} UTC" for event_id, event_type, occurred_at in rows)
    yield Check(
        "strays",
        Severity.NOTE,
        f"{count:,} events with a time more than a year away from all that came with them: {named}",
        "see the table stray_events; reports without --from leave such times out",
    )
