"""The status of schedules: when they run next, how the last run ended, and what needs a look."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from reports import humanize
from schedules.context import Context
from schedules.cron import Cron
from schedules.ledger import Ledger
from schedules.missed import Missed
from schedules.record import (
    DeliveryState,
    RunDelivery,
    RunKind,
    RunState,
    ScheduledRun,
)

_PROMPT = timedelta(minutes=2)
"""A run begins within seconds of its time, where anybody runs the schedules."""


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """A schedule; its last run by the clock, the last run by `--now` and the last notice of a failure.

    `missed` are the runs right before the last one by the clock that never began.
    """

    name: str
    times: Cron
    next_at: datetime | None
    runs: tuple[tuple[ScheduledRun, tuple[RunDelivery, ...]], ...]
    overdue: datetime | None
    missed: Missed | None = None

    def troubles(self) -> Iterator[str]:
        """Yield a line for each delivery that failed or is doubtful, and for a run that failed or never began."""
        for run, deliveries in self.runs:
            what = {RunKind.CRON: "", RunKind.NOW: "asked for, ", RunKind.NOTICE: "notice of a failure, "}[run.id.kind]
            when = f"{self.name}, {what}{humanize.moment(_second(run.id.due), self.times.zone)}"
            wrong = [each for each in deliveries if each.state in {DeliveryState.FAILED, DeliveryState.DOUBTFUL}]
            for each in wrong:
                said = "may not have been sent" if each.state is DeliveryState.DOUBTFUL else "was not sent"
                yield f"{when}: {said} to {each.label}: {each.reason}"
            if run.state is RunState.FAILED and not wrong:
                yield f"{when}: {run.reason}"
        if self.overdue is not None:
            since = humanize.moment(self.overdue, self.times.zone)
            yield f"{self.name}: has been due since {since}, and nobody runs it"


def statuses(context: Context, now: datetime) -> list[ScheduleStatus]:
    """Return the status of every schedule, by the ledger where there is one. Raises LedgerError."""
    presumed = context.timezone
    if not context.ledger.exists():
        return [
            ScheduleStatus(each.name, times := each.times(presumed), times.next(now), (), None)
            for each in context.schedules
        ]
    with Ledger.reading(context.ledger) as ledger:
        return [_status(each.name, each.times(presumed), ledger, now) for each in context.schedules]


def _status(name: str, times: Cron, ledger: Ledger, now: datetime) -> ScheduleStatus:
    found = [run for kind in RunKind if (run := ledger.last(name, kind, until=now)) is not None]
    runs = tuple((run, tuple(ledger.deliveries(run.id))) for run in found)
    ours = next((run.id for run in found if run.id.kind is RunKind.CRON), None)
    last, missed = (ours.due, Missed.before(ours, times, ledger)) if ours else (None, None)
    since = ledger.known_since(name, str(times))
    after = max((at for at in (since, last) if at is not None), default=None)
    due = None if since is None or after is None else times.latest(after, now - _PROMPT)
    busy = any(run.id.kind is RunKind.CRON and run.state in {RunState.WAITING, RunState.SENDING} for run in found)
    return ScheduleStatus(name, times, times.next(now), runs, None if busy else due, missed)


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)
