"""Making the message of a run: the report of its period, read from the replica, and whether that has all of it."""

from dataclasses import replace
from datetime import datetime

from holdtime.reporting import request_of
from holdtime.schedules import message
from holdtime.schedules.content import Message
from holdtime.schedules.landed import LogEnd, lacking
from holdtime.schedules.schedule import Schedule
from holdtime.settings import Settings
from ingest.log import Extent
from reports import registry
from reports.errors import SourceError
from reports.request import Origin
from reports.source import opened


def missing(settings: Settings, schedule: Schedule, due: datetime, log_end: LogEnd) -> str | None:
    """Return what has not landed of the period of a run, in words; None when all of it has."""
    until = datetime.fromisoformat(schedule.asked(due, settings.configuration.timezone)["to"])
    end = log_end()
    try:
        with opened(settings.environment.replica) as source:
            return lacking(source.db, end, until)
    except SourceError as error:
        return str(error)


def made(settings: Settings, schedule: Schedule, due: datetime, now: datetime, log: Extent | None) -> Message:
    """Return the message of the run due at `due`, as it is `now`, the log reaching so far. Raises ReportError."""
    asked = schedule.asked(due, settings.configuration.timezone)
    request = request_of(settings, asked, now)
    in_file = {name: Origin.FILE if origin is Origin.OPTION else origin for name, origin in request.origins.items()}
    if schedule.timezone is None and "timezone" not in settings.configuration.model_fields_set:
        in_file["tz"] = Origin.DEFAULT
    with opened(settings.environment.replica) as source:
        not_landed = lacking(source.db, log, datetime.fromisoformat(asked["to"]))
        report = registry.run(schedule.report, source, replace(request, origins=in_file))
        score = registry.completeness_of(source, report)
    return message.summary(
        report,
        name=schedule.name,
        words=schedule.words,
        forms=schedule.formats,
        stem=stem(settings, schedule, due),
        lacking=not_landed,
        score=score,
    )


def stem(settings: Settings, schedule: Schedule, due: datetime) -> str:
    """Return how the files of a run are called: by the time that was named, on the clock of the schedule's zone."""
    zone = schedule.zone(settings.configuration.timezone)
    return f"{schedule.name}-{due.astimezone(zone):%Y-%m-%dT%H%M}"
