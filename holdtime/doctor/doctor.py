"""`holdtime doctor`: whether everything is as it should be, what is open, and what to do. It changes nothing."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from holdtime.config import settings
from holdtime.config.settings import ConfigurationError, Settings
from holdtime.doctor import open_work, replica, soundness, surroundings, trust
from holdtime.doctor.checks import Check, Severity
from holdtime.doctor.open_work import OpenWork
from holdtime.service.requirements import fault_lines
from reports.errors import SourceError
from reports.source import Source, opened


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
    checks = [Check("configuration", Severity.OK, "can be used"), *surroundings.allocator_check()]
    checks += surroundings.places(environment)
    log, extent = surroundings.log(configured)
    checks += [
        *surroundings.set_aside_files(configured),
        log,
        *soundness.checks(environment, deep=deep, on_progress=on_progress),
    ]
    checks += [*surroundings.server(environment), *surroundings.schedules(configured, now)]
    checks += _access(configured)
    if any(check.name == "replica" for check in checks):
        return Examination(tuple(checks), (), now, timezone)  # damaged: what it says means nothing
    try:
        with opened(environment.replica) as source:
            checks += [
                replica.age(source, now),
                *replica.contents(source, extent, now),
                *replica.queues(configured, source),
            ]
            checks += _trust(configured, source, now)
            return Examination(tuple(checks), tuple(open_work.kinds(source.db, most=most)), now, timezone)
    except surroundings.CANNOT_LOOK as error:
        is_new = surroundings.is_absent(environment.replica) and not (extent and extent.held)
        if isinstance(error, SourceError) and is_new:
            checks.append(Check("replica", Severity.NOTE, "not there yet", "`holdtime up` publishes it"))
        else:
            checks += (Check("replica", Severity.FAILED, fault) for fault in fault_lines(error))
    return Examination(tuple(checks), (), now, timezone)


def _access(configured: Settings) -> Iterator[Check]:
    """Who can write the replica; nothing where it may not be looked at, which the check of its content says."""
    with suppress(OSError):
        if configured.environment.replica.is_file():
            yield from replica.access(configured.environment.replica, configured.configuration.publish)


def _trust(configured: Settings, source: Source, now: datetime) -> Iterator[Check]:
    reconciles = bool(configured.environment.api_key.get_secret_value())
    yield from trust.checks(source.db, now, floor=configured.configuration.completeness.floor, reconciles=reconciles)
