"""Making the message of a run: the report of its period, read from the replica, and whether that has all of it."""

from dataclasses import dataclass, replace
from datetime import datetime

from eventlog.log import LogExtent
from holdtime.config.requests import request_of
from holdtime.config.settings import Settings
from reports.catalogue import registry
from reports.errors import SourceError
from reports.request.request import SettingOrigin
from reports.source import opened
from schedules import message
from schedules.content import Message
from schedules.freshness import (
    LogEnd,
    lacking,
    last_landing,
    outage,
)
from schedules.schedule import Schedule
from warehouse import readers


def missing(settings: Settings, schedule: Schedule, due: datetime, log_end: LogEnd) -> str | None:
    """Return what has not landed of the period of a run, in words; None when all of it has."""
    until = datetime.fromisoformat(schedule.asked(due, settings.configuration.timezone)["to"])
    end, landed_at = log_end(), last_landing(settings.environment.warehouse)
    try:
        with opened(settings.environment.replica, memory_limit=readers.LITTLE_MEMORY) as source:
            return lacking(source.db, end, until, landed_at=landed_at)
    except SourceError as error:
        return str(error)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message is asked for: the run of a schedule due at `due`, as it is `now`, the log reaching so far.

    `said` are lines about the run itself.
    """

    settings: Settings
    schedule: Schedule
    due: datetime
    now: datetime
    log: LogExtent | None
    said: tuple[str, ...] = ()


def made(asked: Asked) -> Message:
    """Return the message. Raises ReportError."""
    settings, schedule, due = asked.settings, asked.schedule, asked.due
    options = schedule.asked(due, settings.configuration.timezone)
    request = request_of(settings.configuration, options, asked.now)
    until, landed_at = datetime.fromisoformat(options["to"]), last_landing(settings.environment.warehouse)
    in_file = {
        name: SettingOrigin.FILE if origin is SettingOrigin.OPTION else origin
        for name, origin in request.origins.items()
    }
    if schedule.timezone is None and "timezone" not in settings.configuration.model_fields_set:
        in_file["tz"] = SettingOrigin.DEFAULT
    with opened(settings.environment.replica) as source:
        not_landed = lacking(source.db, asked.log, until, landed_at=landed_at) or outage(source.db, until)
        report = registry.run(schedule.report, source, replace(request, origins=in_file))
        score = registry.completeness_of(source, report)
    return message.summary(
        report,
        name=schedule.name,
        words=schedule.words,
        forms=schedule.formats,
        stem=stem(settings, schedule, due),
        lacking=not_landed,
        said=asked.said,
        score=score,
    )


def stem(settings: Settings, schedule: Schedule, due: datetime) -> str:
    """Return how the files of a run are called: by the time that was named, on the clock of the schedule's zone."""
    zone = schedule.zone(settings.configuration.timezone)
    return f"{schedule.name}-{due.astimezone(zone):%Y-%m-%dT%H%M}"
