"""The checks of what is around the replica: keys, files, the log, the server and the schedules."""

import asyncio
import json
import os
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from http.client import HTTPException
from pathlib import Path

from eventlog.log import LogExtent, LogUnavailableError
from eventlog.sqlite import salvage
from holdtime.config.schedules import context_of
from holdtime.config.settings import Environment, Settings
from holdtime.doctor import deliveries as deliveries_check
from holdtime.doctor.checks import Check, Severity
from holdtime.service import allocator, event_log
from holdtime.service.requirements import EXPECTED, fault_lines, public_keys, require_apart
from ingest.signing.signature import UnusableKeyError
from reports import humanize
from reports.errors import SourceError
from schedules.ledger import LedgerError
from schedules.status import statuses
from warehouse import os_error

CANNOT_LOOK = (*EXPECTED, LogUnavailableError, SourceError)
"""Errors that end one check, and no other."""

_MAX_STATUS_BYTES = 1 << 20


def is_absent(path: Path) -> bool:
    """Whether there is certainly no such file: in a folder that we may not read there may be one."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def places(environment: Environment) -> Iterator[Check]:
    try:
        keys = public_keys(environment.public_key)
        yield Check("keys", Severity.OK, f"{len(keys)} public key{'s' if len(keys) > 1 else ''}")
    except UnusableKeyError as error:
        yield Check("keys", Severity.FAILED, str(error))
    try:
        log = () if environment.log_is_kafka else (environment.log_path,)
        require_apart(*log, environment.warehouse, environment.replica, environment.gateway)
    except EXPECTED as error:
        yield Check("files", Severity.FAILED, "; ".join(fault_lines(error)))


def allocator_check() -> Iterator[Check]:
    """A note where the size of the C library's cache is not chosen."""
    if not allocator.is_chosen():
        yield Check(
            "allocator",
            Severity.NOTE,
            f"{allocator.TUNABLES} does not set {allocator.CACHE}: `up` and `process` start themselves again with it",
            f"set {allocator.TUNABLES}={allocator.setting()} where holdtime is started",
        )


def log(configured: Settings) -> tuple[Check, LogExtent | None]:
    """The log, and how far it reaches; None where that cannot be said."""
    environment = configured.environment
    try:
        log = event_log.of(configured)
        if not environment.log_is_kafka and is_absent(environment.log_path):
            absent = Check("log", Severity.NOTE, f"{environment.log_path} is not there yet", "`holdtime up` makes it")
            return absent, LogExtent({}, log.FIRST_OFFSET)
        if not environment.log_is_kafka and not os.access(environment.log_path, os.R_OK):
            path = environment.log_path
            return Check("log", Severity.FAILED, f"{path} cannot be read", os_error.denied(path)), None
        try:
            extent = LogExtent.of(log)
        finally:
            asyncio.run(log.close())
    except CANNOT_LOOK as error:
        return Check("log", Severity.FAILED, "; ".join(fault_lines(error))), None
    return Check("log", Severity.OK, f"holds {extent.held:,} records"), extent


def set_aside_files(configured: Settings) -> Iterator[Check]:
    """The damaged files that were set aside and are still there."""
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


def server(environment: Environment) -> Iterator[Check]:
    """Whether the server answers, and the check of its deliveries."""
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


def schedules(configured: Settings, now: datetime) -> Iterator[Check]:
    """Messages that were not sent, and recipients that cannot be reached; nothing where there are no schedules."""
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
