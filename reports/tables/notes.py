"""The sentences at the foot of a report: the period it covers and what it rests on."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from reports import humanize
from reports.basis import Basis
from reports.calendar.intervals import Spine
from reports.request.request import (
    Request,
    Setting,
    SettingOrigin,
)
from reports.tables.visits import Period

_MS = timedelta(milliseconds=1)
TIMELESS = "more visits have no known beginning: they belong to no interval, and count by event time only."


def covered(period: Period | None, request: Request, what: str, spine: Spine | None = None) -> list[str]:
    """Return the period, the time zone and the rule that puts `what` (in the plural) into it."""
    if period is None:
        return [f"There are no {what} to report on. Times are in {request.tz}."]
    from_, to = (humanize.moment(at, request.zone) for at in (period.from_, period.to))
    notes = [f"Period: from {from_} up to, not including, {to}, in the time zone {request.tz}."]
    if period.apart:
        notes.append(
            f"{humanize.number(period.apart)} more {what} are left out: their time is more than a year from that of "
            "all others, as where a clock was wrong. --from and --to name any period."
        )
    if spine is not None and spine.is_cut:
        notes.append(
            "The period cuts its first or last interval: it is as long as what is left of it, which is what counts "
            "there and what is divided by."
        )
    notes += _elsewhere(request)
    if request.queues:
        notes.append("Only these queues: " + ", ".join(humanize.name(queue) for queue in request.queues) + ".")
    return notes


def timeless(visits: int) -> list[str]:
    """Return the sentence about visits without a known beginning; none where there are none."""
    return [f"{humanize.number(visits)} {TIMELESS}"] if visits else []


def _elsewhere(request: Request) -> list[str]:
    """Return which queues have another time zone than the report, unless somebody asked for it."""
    (asked,) = request.settings("tz")
    zones = {
        each.queue: each.tz for each in request.effective_policies if each.queue in request.queues or not request.queues
    }
    others = {queue: tz for queue, tz in zones.items() if queue is not None and tz != request.tz}
    if not others or asked.origin is SettingOrigin.OPTION:
        return []
    named = ", ".join(f"{humanize.name(queue)} ({tz})" for queue, tz in others.items())
    return [
        f"These queues have time zones of their own, and are cut at the times of {request.tz} here: {named}. A report "
        "of queues of one zone is in that zone; --tz chooses one for all."
    ]


def configuration(request: Request, basis: Basis, *names: str) -> tuple[Setting, ...]:
    """Return the settings that a report was made with: fields of the request, and what the facts were derived with."""
    return (*request.settings(*names), Setting("longest_wait_ms", basis.longest_wait_ms, SettingOrigin.WAREHOUSE))


def foundations(basis: Basis, settings: Sequence[Setting], measure_definitions: str, now: datetime) -> list[str]:
    """Return what a report rests on: events, log position, definitions and configuration, each with its origin."""
    said = ", ".join(f"{one.name} {in_words(one)} ({one.origin})" for one in settings)
    return [
        _as_of(basis, basis.as_of) if basis.as_of is not None else _rested_on(basis, now),
        _defined_by(basis, measure_definitions),
        f"Configuration: {said}.",
    ]


def in_words(setting: Setting) -> str:
    """Return a setting's value as people read it; what is left open is `all`."""
    value = setting.value
    if isinstance(value, tuple):
        return humanize.name(", ".join(value)) or "all"
    return "all" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _as_of(basis: Basis, as_of: datetime) -> str:
    return (
        f"As known at log position {basis.position}: rests on the {humanize.number(basis.events)} events that had "
        f"landed up to there, the last record of them received {as_of:%Y-%m-%d %H:%M:%S} UTC, and on nothing later."
    )


def _rested_on(basis: Basis, now: datetime) -> str:
    """Return how many events there are, how far the log had landed, and how old the data is."""
    if basis.landed_at is None:
        text = f"Rests on {humanize.number(basis.events)} events; no log position is stored in this file"
    else:
        text = (
            f"Rests on {humanize.number(basis.events)} events, landed {_ago(basis.landed_at, now)} "
            f"({basis.landed_at:%Y-%m-%d %H:%M:%S} UTC) up to log position {basis.position}"
        )
    if basis.published_at is not None:
        text += f"; the file read was written {_ago(basis.published_at, now)}"
    return text + "."


def _defined_by(basis: Basis, measure_definitions: str) -> str:
    facts = " and ".join(basis.fact_definitions) or "that nobody noted"
    text = f"Definitions: facts {facts}, measures {measure_definitions}."
    if len(basis.fact_definitions) > 1:
        text += (
            " Not all facts were derived by the same definitions: `holdtime rebuild` derives them all by the newest."
        )
    return text


def _ago(at: datetime, now: datetime) -> str:
    return f"{humanize.age((now - at) / _MS)} ago"
