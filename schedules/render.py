"""Schedules on a screen: when they run and what they would send, what was sent to whom, and what was not."""

import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from reports import humanize
from reports.errors import ReportError
from schedules import compose, recipients
from schedules.context import Context
from schedules.freshness import LogEnd
from schedules.period import period
from schedules.record import (
    DeliveryState,
    RunDelivery,
    ScheduledRun,
)
from schedules.schedule import Schedule
from schedules.status import ScheduleStatus

_COMING = 3
_MARKS = {
    DeliveryState.SENT: ("✓", "green"),
    DeliveryState.PENDING: ("•", "yellow"),
    DeliveryState.SENDING: ("•", "yellow"),
    DeliveryState.FAILED: ("✗", "bold red"),
    DeliveryState.DOUBTFUL: ("?", "bold red"),
}


def preview(context: Context, log_end: LogEnd, now: datetime) -> Iterator[RenderableType]:
    """Yield each schedule's next runs with their periods, whom they go to, and what would be sent if it were now."""
    for schedule in context.schedules:
        yield Text(f"{schedule.name}: {schedule.report}, {schedule.words}", style="bold")
        yield from _coming(schedule, context.timezone, now)
        to = [each.label for each in recipients.found(schedule.recipients, os.environ, where="recipients")[0]]
        to += [f"{schedule.folder}/"] if schedule.folder else []
        yield Text(f"  to {', '.join(to)}; tells of failures: {_failures(schedule)}")
        try:
            message = compose.message_of(compose.MessageRequest(context, schedule, now, now, log_end()))
        except ReportError as error:
            yield Text(f"  What would be sent cannot be shown: {error}\n", style="yellow")
            continue
        yield Text(f"  If it were now:\n\n  Subject: {humanize.plain(message.subject)}\n", style="dim")
        yield Text("\n".join(f"  {humanize.plain(line)}".rstrip() for line in message.text.splitlines()) + "\n")
        for each in message.attachments:
            yield Text(f"  Attached: {each.name}, {each.kind}, {len(each.content) / 1e3:,.1f} kB")
        yield Text()


def _coming(schedule: Schedule, presumed: str, now: datetime) -> Iterator[Text]:
    times = schedule.times(presumed)
    yield Text(f"  {times}")
    at = times.next(now)
    for _ in range(_COMING):
        if at is None:
            return
        first, end = (humanize.moment(each, times.zone) for each in period(schedule.words, at, times.zone))
        local = at.astimezone(times.zone)
        yield Text(f"  {local:%a} {humanize.moment(at, times.zone)} ({at:%H:%M} UTC): from {first} up to {end}")
        at = times.next(at)


def _failures(schedule: Schedule) -> str:
    return f"{len(schedule.on_failure)} in on_failure" if schedule.on_failure else "those who can be reached"


def status(found: Sequence[ScheduleStatus]) -> RenderableType:
    """How the last runs ended, and then what is wrong."""
    parts: list[RenderableType] = []
    for schedule in found:
        zone = schedule.times.zone
        coming = humanize.moment(schedule.next_at, zone)
        parts.append(Text.assemble((schedule.name, "bold"), f": {schedule.times}; next {coming}"))
        for run, deliveries in schedule.runs:
            due = humanize.moment(run.id.due.replace(microsecond=0), zone)
            parts += [Text(f"  {run.id.kind} {due}: {run.state}"), *(_delivery(each) for each in deliveries)]
        if schedule.missed is not None:
            parts.append(Text(f"  {schedule.missed.words(schedule.times)}", style="yellow"))
        if not schedule.runs:
            parts.append(Text("  nothing was sent yet", style="dim"))
    troubles = [trouble for schedule in found for trouble in schedule.troubles()]
    parts += [Text(), *(Text(humanize.plain(trouble), style="red") for trouble in troubles)] if troubles else []
    return Group(*parts)


def outcome(run: ScheduledRun | None, deliveries: Sequence[RunDelivery]) -> RenderableType:
    """How one run ended."""
    lines = [_delivery(each) for each in deliveries]
    if run is not None and run.reason and not lines:
        lines = [Text(f"  ✗ {run.reason}", style="red")]
    return Group(*lines)


def _delivery(each: RunDelivery) -> Text:
    times = "" if each.attempts == 1 else f", {each.attempts} attempts"
    why = f": {humanize.plain(each.reason)}" if each.reason else ""
    return Text.assemble("    ", _MARKS[each.state], f" {each.label}: {each.state}{times}{why}")


def status_as_json(found: Sequence[ScheduleStatus]) -> str:
    """The same for machines; instants in UTC."""
    return json.dumps(
        [
            {
                "name": schedule.name,
                "cron": schedule.times.expression,
                "timezone": schedule.times.zone.key,
                "next_at": schedule.next_at and schedule.next_at.isoformat(),
                "missed": schedule.missed.count if schedule.missed else 0,
                "troubles": list(schedule.troubles()),
                "runs": [
                    {
                        "kind": run.id.kind,
                        "due_at": run.id.due.isoformat(),
                        "state": run.state,
                        "reason": run.reason or None,
                        "deliveries": [
                            {
                                "recipient": each.label,
                                "state": each.state,
                                "attempts": each.attempts,
                                "at": each.at.isoformat(),
                                "reason": each.reason or None,
                            }
                            for each in deliveries
                        ],
                    }
                    for run, deliveries in schedule.runs
                ],
            }
            for schedule in found
        ],
        indent=2,
    )
