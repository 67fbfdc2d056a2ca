"""The message of a run: the report of its period, read from the replica, and whether all of the period has landed."""

from dataclasses import dataclass, replace
from datetime import datetime

from eventlog.log import LogExtent
from reports.catalogue import registry
from reports.errors import SourceError
from reports.request.request import SettingOrigin
from reports.source import opened
from schedules import message
from schedules.content import Message
from schedules.context import Context
from schedules.freshness import (
    LogEnd,
    lacking,
    last_landing,
    outage,
)
from schedules.schedule import Schedule
from warehouse import readers


def missing(context: Context, schedule: Schedule, due: datetime, log_end: LogEnd) -> str | None:
    """Say what part of a run's period has not landed; None when all of it has."""
    until = datetime.fromisoformat(schedule.asked(due, context.timezone)["to"])
    end, landed_at = log_end(), last_landing(context.warehouse)
    try:
        with opened(context.replica, memory_limit=readers.LITTLE_MEMORY) as source:
            return lacking(source.db, end, until, landed_at=landed_at)
    except SourceError as error:
        return str(error)


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A message to compose: of the run that is due at `due`, with facts as of `now`, while the log reaches to `log`.

    `remarks` are lines about the run itself.
    """

    context: Context
    schedule: Schedule
    due: datetime
    now: datetime
    log: LogExtent | None
    remarks: tuple[str, ...] = ()


def message_of(wanted: MessageRequest) -> Message:
    """Return the message. Raises ReportError."""
    context, schedule, due = wanted.context, wanted.schedule, wanted.due
    options = schedule.asked(due, context.timezone)
    request = context.request(options, wanted.now)
    until, landed_at = datetime.fromisoformat(options["to"]), last_landing(context.warehouse)
    in_file = {
        name: SettingOrigin.FILE if origin is SettingOrigin.OPTION else origin
        for name, origin in request.origins.items()
    }
    if schedule.timezone is None and not context.has_timezone:
        in_file["tz"] = SettingOrigin.DEFAULT
    with opened(context.replica) as source:
        not_landed = lacking(source.db, wanted.log, until, landed_at=landed_at) or outage(source.db, until)
        report = registry.run(schedule.report, source, replace(request, origins=in_file))
        score = registry.completeness_of(source, report)
    return message.summary(
        report,
        name=schedule.name,
        words=schedule.words,
        forms=schedule.formats,
        stem=stem(context, schedule, due),
        lacking=not_landed,
        remarks=wanted.remarks,
        score=score,
    )


def stem(context: Context, schedule: Schedule, due: datetime) -> str:
    """Return the name of a run's files without endings: schedule and due time, by the clock of the schedule's zone."""
    zone = schedule.zone(context.timezone)
    return f"{schedule.name}-{due.astimezone(zone):%Y-%m-%dT%H%M}"
