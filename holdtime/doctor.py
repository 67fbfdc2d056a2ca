"""`holdtime doctor`: whether everything is as it should be, what is open, and what to do. It changes nothing."""

import asyncio
import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from holdtime import event_log, open_work, settings, trust
from holdtime.checks import Check, Verdict
from holdtime.open_work import Kind
from holdtime.parts import public_keys, require_apart
from holdtime.schedules.ledger import LedgerError
from holdtime.schedules.standing import standings
from holdtime.settings import ConfigurationError, Environment, Settings
from ingest.log import Extent, LogUnavailableError
from ingest.signature import UnusableKeyError
from ingest.sqlite_file import UnusableLogError
from processors.history import instant
from reports import wording
from reports.errors import SourceError
from reports.source import Source, opened
from warehouse.query import value

PATIENCE = timedelta(minutes=1)
"""What is in the log has landed and is in the replica after this long, unless something is wrong."""

OFF = timedelta(seconds=5)
"""A clock that is off by less is not worth a word; Telnyx's tolerance is 300 s."""

_DUCKDB = b"DUCK"

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
    open_work: tuple[Kind, ...]
    at: datetime
    timezone: str = "UTC"

    @property
    def failed(self) -> bool:
        return any(check.verdict is Verdict.FAILED for check in self.checks)


def examine(config: Path, *, now: datetime, most: int) -> Examination:
    """Check everything that can be checked, also while `holdtime up` runs and before it ever did; never raises for it.

    `most` bounds the open items that are named one by one.
    """
    try:
        configured = settings.load(config)
    except ConfigurationError as error:
        faults = (Check("configuration", Verdict.FAILED, fault) for fault in error.faults)
        return Examination(tuple(faults), (), now)
    environment, timezone = configured.environment, configured.configuration.timezone
    checks = [Check("configuration", Verdict.OK, "can be used"), *_places(environment)]
    log, extent = _log(configured)
    checks += [log, _warehouse(environment.warehouse), _server(environment), *_schedules(configured, now)]
    try:
        with opened(environment.replica) as source:
            checks += [_replica(source, now), *_inside(source, extent, now), *_trust(configured, source, now)]
            return Examination(tuple(checks), tuple(open_work.kinds(source.db, most=most)), now, timezone)
    except SourceError as error:
        if environment.replica.exists() or (extent and extent.held):
            checks.append(Check("replica", Verdict.FAILED, str(error)))
        else:
            checks.append(Check("replica", Verdict.NOTE, "not there yet", "`holdtime up` publishes it"))
    return Examination(tuple(checks), (), now, timezone)


def _places(environment: Environment) -> Iterator[Check]:
    try:
        keys = public_keys(environment.public_key)
        yield Check("keys", Verdict.OK, f"{len(keys)} public key{'s' if len(keys) > 1 else ''}")
    except UnusableKeyError as error:
        yield Check("keys", Verdict.FAILED, str(error))
    try:
        log = () if environment.log_is_kafka else (environment.log_path,)
        require_apart(*log, environment.warehouse, environment.replica)
    except ValueError as error:
        yield Check("files", Verdict.FAILED, str(error))


def _log(configured: Settings) -> tuple[Check, Extent | None]:
    """The log, and how far it reaches; None where that cannot be said."""
    environment = configured.environment
    try:
        log = event_log.of(configured)
        if not environment.log_is_kafka and not environment.log_path.exists():
            absent = Check("log", Verdict.NOTE, f"{environment.log_path} is not there yet", "`holdtime up` makes it")
            return absent, Extent({}, log.FIRST_OFFSET)
        try:
            extent = Extent.of(log)
        finally:
            asyncio.run(log.close())
    except (UnusableLogError, LogUnavailableError, ValueError) as error:
        return Check("log", Verdict.FAILED, str(error)), None
    return Check("log", Verdict.OK, f"holds {extent.held:,} records"), extent


def _warehouse(path: Path) -> Check:
    """The file from outside: opening it could keep a starting `up` out of it."""
    if not path.exists():
        return Check("warehouse", Verdict.NOTE, f"{path} is not there yet", "`holdtime up` makes it")
    try:
        with path.open("rb") as file:
            magic = file.read(12)[8:]
    except OSError as error:
        return Check("warehouse", Verdict.FAILED, f"{path} cannot be read: {error.strerror}", "make it readable for us")
    if magic != _DUCKDB:
        return Check(
            "warehouse",
            Verdict.FAILED,
            f"{path} is no DuckDB file",
            "put a copy of the replica in its place (docs/operations.md, Backup)",
        )
    return Check("warehouse", Verdict.OK, f"{path}, {path.stat().st_size / 1e6:,.1f} MB")


def _server(environment: Environment) -> Check:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(environment.http_host, environment.http_host)  # noqa: S104 - asks
    address = f"http://{f'[{host}]' if ':' in host else host}:{environment.http_port}"
    try:
        with urllib.request.urlopen(f"{address}/status", timeout=2) as answer:  # noqa: S310 - our own address
            status = json.load(answer)
        return Check("server", Verdict.OK, f"answers at {address}, {status['lag_events']:,} records behind the log")
    except (ValueError, KeyError, TypeError):
        return Check("server", Verdict.NOTE, f"something else answers at {address}", "see HOLDTIME_HTTP_PORT")
    except OSError:
        return Check("server", Verdict.NOTE, f"nothing answers at {address}", "start `holdtime up`")


def _schedules(configured: Settings, now: datetime) -> Iterator[Check]:
    """What was not sent, and who cannot be reached; nothing where there are no schedules."""
    if not configured.configuration.schedule:
        return
    faults = [fault for each in configured.configuration.schedule for fault in each.unreachable(os.environ)]
    yield from (Check("schedules", Verdict.FAILED, fault) for fault in faults)
    try:
        found = standings(configured, now)
    except LedgerError as error:
        yield Check("schedules", Verdict.FAILED, str(error))
        return
    troubles = [trouble for each in found for trouble in each.troubles()]
    do = "`holdtime schedule --status` shows all, `holdtime schedule --now NAME` sends anew"
    yield from (Check("schedules", Verdict.FAILED, trouble, do) for trouble in troubles)
    if not faults and not troubles:
        coming = min((each for each in found if each.next_at), key=lambda each: each.next_at or now)
        at = wording.moment(coming.next_at, coming.times.zone)
        yield Check(
            "schedules", Verdict.OK, f"{len(found)}, the next is {coming.name} at {at} ({coming.times.zone.key})"
        )


def _replica(source: Source, now: datetime) -> Check:
    return Check("replica", Verdict.OK, f"published {wording.age(_age_ms(source, now))} ago")


def _age_ms(source: Source, now: datetime) -> float:
    return 0 if source.published_at is None else (now - source.published_at) / timedelta(milliseconds=1)


def _inside(source: Source, log: Extent | None, now: datetime) -> Iterator[Check]:
    """What the replica says."""
    if log is not None:
        yield _lag(source, log, now)
    yield _clock(source.db, now)
    yield _rejected(source.db)
    yield _contradictions(source.db)


def _trust(configured: Settings, source: Source, now: datetime) -> Iterator[Check]:
    reconciles = bool(configured.environment.api_key.get_secret_value())
    yield from trust.checks(source.db, now, floor=configured.configuration.completeness.floor, reconciles=reconciles)


def _lag(source: Source, log: Extent, now: datetime) -> Check:
    landed = dict(source.basis().positions)
    for partition, end in log.ends.items():
        if end < landed.get(partition, -1):
            return Check(
                "lag",
                Verdict.FAILED,
                f"the log ends at position {end:,}, but the warehouse has landed up to {landed[partition]:,}",
                "put back the log that the warehouse was made from, or move this one away",
            )
    lag = log.lag(landed)
    if lag and _age_ms(source, now) > PATIENCE / timedelta(milliseconds=1):
        return Check(
            "lag",
            Verdict.FAILED,
            f"{lag:,} records of the log are not in the replica",
            "start `holdtime up`; where it runs, its log says why: look for not_landed and replica_not_published",
        )
    return Check("lag", Verdict.OK, f"{lag:,} records of the log are not in the replica yet")


def _clock(db: duckdb.DuckDBPyConnection, now: datetime) -> Check:
    judged = value(db, "select epoch_us(judged_at) from warehouse")
    if judged is not None and instant(judged) > now + OFF:
        return Check(
            "clock",
            Verdict.FAILED,
            f"this machine says {now:%Y-%m-%d %H:%M:%S} UTC, the last landing said {instant(judged):%Y-%m-%d %H:%M:%S}",
            "set the clock; when it is right the next landing, or `holdtime rebuild`, evaluates waits by it again",
        )
    day_ago = (now - timedelta(days=1) - instant(0)) // timedelta(microseconds=1)
    ahead_us = value(db, _AHEAD_US, {"from": day_ago})
    if ahead_us is not None and ahead_us > OFF / timedelta(microseconds=1):
        return Check(
            "clock",
            Verdict.FAILED,
            f"half of the last day's events came {wording.age(ahead_us / 1000)} or more before they happened",
            "set this machine's clock: it is behind, and at 300 s nothing is let in",
        )
    return Check("clock", Verdict.OK, "as far as events tell")


def _rejected(db: duckdb.DuckDBPyConnection) -> Check:
    rows = db.execute("select reason, count(*) from rejected group by reason order by count(*) desc, reason").fetchall()
    if not rows:
        return Check("rejected", Verdict.OK, "nothing")
    do = "`holdtime rejected list`"
    if any(reason == "stale" for reason, _ in rows):
        do += "; those that are stale are authentic: `holdtime rejected replay --reason stale` lands them"
    return Check("rejected", Verdict.NOTE, ", ".join(f"{count:,} {reason}" for reason, count in rows), do)


def _contradictions(db: duckdb.DuckDBPyConnection) -> Check:
    count = value(db, "select count(*) from contradictions")
    if not count:
        return Check("contradictions", Verdict.OK, "no event id came with two contents")
    return Check(
        "contradictions",
        Verdict.NOTE,
        f"{count:,} events do not count, because their id came with another content too",
        "see the table contradictions; the bodies of all of them are in stored_events",
    )
