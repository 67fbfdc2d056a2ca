"""The sentences at the foot of a report: the period it covers and what it rests on."""

from datetime import datetime, timedelta

from reports import wording
from reports.intervals import Spine
from reports.report import Basis
from reports.request import Request
from reports.visits import Period

_MS = timedelta(milliseconds=1)


def covered(period: Period | None, request: Request, what: str, spine: Spine | None = None) -> list[str]:
    """Return the period, the time zone and the rule that puts `what` (in the plural) into it."""
    if period is None:
        return [f"There are no {what} to report on. Times are in {request.tz}."]
    from_, to = (wording.moment(at, request.zone) for at in (period.from_, period.to))
    notes = [f"Period: from {from_} up to, not including, {to}, in the time zone {request.tz}."]
    if spine is not None and (spine.bounds[0] < period.from_ or spine.bounds[-1] > period.to):
        notes.append("The period cuts its first or last interval: only what lies in the period is counted there.")
    if request.queues:
        notes.append("Only these queues: " + ", ".join(wording.plain(queue) for queue in request.queues) + ".")
    return notes


def rested_on(basis: Basis, now: datetime) -> str:
    """Return how many events there are, how far the log had landed, and how old the data is."""
    if basis.landed_at is None:
        text = f"Rests on {wording.number(basis.events)} events; no log position is stored in this file"
    else:
        offsets = ", ".join(f"{partition}: {offset}" for partition, offset in basis.positions)
        text = (
            f"Rests on {wording.number(basis.events)} events, landed {_ago(basis.landed_at, now)} "
            f"({basis.landed_at:%Y-%m-%d %H:%M:%S} UTC) up to log position {offsets}"
        )
    if basis.published_at is not None:
        text += f"; the file read was written {_ago(basis.published_at, now)}"
    return text + "."


def _ago(at: datetime, now: datetime) -> str:
    return f"{wording.age((now - at) / _MS)} ago"
