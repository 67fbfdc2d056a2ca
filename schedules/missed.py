"""The runs of a schedule that never began: no process ran it when they were due, or too many runs waited already."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from reports import humanize
from schedules.cron import Cron
from schedules.ledger import Ledger
from schedules.record import RunId, RunKind

_LOOK_BACK = timedelta(days=7)
"""Runs of every minute are 10,000 a week; those that were missed before are not counted."""
_SOONEST = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Missed:
    """How many runs were missed right before another one, and when the first and the last of them were due."""

    count: int
    first: datetime
    last: datetime

    @classmethod
    def before(cls, run: RunId, times: Cron, ledger: Ledger) -> Self | None:
        """Return the times that were named between the run before and this one; None where there are none."""
        known = ledger.known_since(run.schedule, str(times))
        if known is None or run.kind is not RunKind.CRON:
            return None
        last = ledger.last(run.schedule, RunKind.CRON, until=run.due - _SOONEST)
        begun = known if last is None else max(known, last.id.due)
        due = times.between(max(begun, run.due - _LOOK_BACK), run.due - _SOONEST)
        return cls(len(due), due[0], due[-1]) if due else None

    def words(self, times: Cron) -> str:
        """Return it in words, by the clock of the schedule's zone."""
        first, last = (humanize.moment(each, times.zone) for each in (self.first, self.last))
        if self.count == 1:
            return f"The run before it, of {first}, was missed"
        return f"{self.count:,} runs before it were missed, those from {first} to {last}"
