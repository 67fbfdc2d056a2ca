"""Periods in plain words, in local time: yesterday, last week, last 7 days, monday, 3 days ago, 2026-02, and dates.

    WORDS   = now | DAY | STRETCH | MOMENT
    DAY     = monday ... sunday (the latest that has begun, today included) | N days ago | N weeks ago
    STRETCH = today | yesterday | this UNIT | last UNIT | last N UNITS | YYYY-MM | YYYY-Www
    UNIT    = hour | day | week (from Monday) | month | quarter | year
    MOMENT  = an ISO 8601 date or datetime

`last` means whole ones before the one that is running: on a Wednesday, `last 7 days` ends with Tuesday. As a beginning
or an end, a stretch stands for its first instant, as a date does. As a beginning without an end, it stands for itself:
`--from yesterday` is yesterday and no more; one that is running reaches up to now. A day, like a date, leaves the end
open. The clock is an argument.

Where nothing is said, the facts say when a period begins and ends: `bulk` leaves out those whose clock was years off.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from reports.calendar import intervals
from reports.errors import RequestError

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = "hour|day|week|month|quarter|year"
_THIS = re.compile(rf"this ({_UNITS})")
_LAST = re.compile(rf"last (?:([1-9]\d{{0,3}}) )?({_UNITS})s?")
_AGO = re.compile(r"([1-9]\d{0,4}) (day|week)s? ago")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_WEEK = re.compile(r"(\d{4})-w(\d{2})")
_HOUR = timedelta(hours=1)

FAR = timedelta(days=366)
"""Facts with nothing else so near to them are apart: a clock was wrong. No archive has been silent for a year."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time from an instant (UTC) up to, not including, another; None where nothing says when it ends."""

    from_: datetime
    to: datetime | None = None


@dataclass(frozen=True, slots=True)
class FactExtent:
    """When the first and the last of some facts began, when the last was over (UTC), and how many they are."""

    first: datetime
    last: datetime
    over: datetime
    facts: int


def bulk(extents: Sequence[FactExtent], now: datetime) -> FactExtent | None:
    """Return the extent of the most facts of which none is `FAR` from the next; of as many, that nearest to now.

    `extents` are in order, of a day each, say.
    """
    found: list[FactExtent] = []
    for each in extents:
        if found and each.first - found[-1].last <= FAR:
            near = found[-1]
            found[-1] = FactExtent(near.first, each.last, max(near.over, each.over), near.facts + each.facts)
        else:
            found.append(each)
    return max(found, key=lambda extent: (extent.facts, -abs(extent.last - now)), default=None)


def stretch(text: str, now: datetime, zone: ZoneInfo, *, name: str) -> Stretch:
    """Return the stretch that a text means at `now`. `name` is the option it was given for. Raises RequestError."""
    words = " ".join(text.lower().split())
    try:
        return _in_words(words, now, zone) or Stretch(instant(text.strip(), zone, name=name))
    except (ValueError, OverflowError) as error:
        if isinstance(error, RequestError):
            raise
        message = (
            f"{name} {text!r} is not a date: expected YYYY-MM-DD or YYYY-MM-DDTHH:MM, such as 2026-02-28T17:30, or "
            "words such as yesterday, last week, this month, last 7 days, monday, 3 days ago, 2026-02"
        )
        raise RequestError(message) from None


def _in_words(words: str, now: datetime, zone: ZoneInfo) -> Stretch | None:
    today = now.astimezone(zone).date()
    words = {"today": "this day", "yesterday": "last day"}.get(words, words)
    if words == "now":
        return Stretch(now.astimezone(UTC))
    if words in _DAYS:
        return Stretch(intervals.midnight(today - timedelta(days=(today.weekday() - _DAYS.index(words)) % 7), zone))
    if ago := _AGO.fullmatch(words):
        days = int(ago[1]) * (7 if ago[2] == "week" else 1)
        return Stretch(intervals.midnight(today - timedelta(days=days), zone))
    if this := _THIS.fullmatch(words):
        return _up_to_now(_begun(this[1], 0, now, zone), now)
    if last := _LAST.fullmatch(words):
        return Stretch(_begun(last[2], int(last[1] or 1), now, zone), _begun(last[2], 0, now, zone))
    return _named(words, now, zone)


def _named(words: str, now: datetime, zone: ZoneInfo) -> Stretch | None:
    """Return a month or a week of the calendar, up to now while it is running."""
    if month := _MONTH.fullmatch(words):
        first = date(int(month[1]), int(month[2]), 1)
        after = _months_on(first, 1)
    elif week := _WEEK.fullmatch(words):
        first = date.fromisocalendar(int(week[1]), int(week[2]), 1)
        after = first + timedelta(weeks=1)
    else:
        return None
    from_, to = intervals.midnight(first, zone), intervals.midnight(after, zone)
    return _up_to_now(from_, now) if from_ <= now < to else Stretch(from_, to)


def _up_to_now(from_: datetime, now: datetime) -> Stretch:
    # At its first instant nothing of it is over yet: its end stays open, for a stretch is never empty.
    return Stretch(from_, now.astimezone(UTC) if now > from_ else None)


def _begun(unit: str, back: int, now: datetime, zone: ZoneInfo) -> datetime:
    """Return when the current unit began, or the unit that is `back` units earlier."""
    if unit == "hour":
        # Whole hours of the local clock, counted back as time that really passed.
        local = now.astimezone(zone)
        into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return now.astimezone(UTC) - into - back * _HOUR
    return intervals.midnight(_FIRST_DAYS[unit](now.astimezone(zone).date(), back), zone)


def _months_on(first: date, months: int) -> date:
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return date(year, month + 1, 1)


_FIRST_DAYS: Mapping[str, Callable[[date, int], date]] = {
    "day": lambda day, back: day - timedelta(days=back),
    "week": lambda day, back: day - timedelta(days=day.weekday(), weeks=back),
    "month": lambda day, back: _months_on(day.replace(day=1), -back),
    "quarter": lambda day, back: _months_on(date(day.year, (day.month - 1) // 3 * 3 + 1, 1), -3 * back),
    "year": lambda day, back: date(day.year - back, 1, 1),
}


def instant(text: str, zone: ZoneInfo, *, name: str) -> datetime:
    """Return the instant (UTC) that an ISO 8601 date or datetime means in a zone; a date means its first instant.

    A datetime with an offset keeps its own. Of a local time that the clocks show twice, the first is meant; one that
    they skip is an error. Raises ValueError for anything else.
    """
    try:
        if len(text) <= 10 and "T" not in text:
            return intervals.midnight(date.fromisoformat(text), zone)
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
        found = at.replace(tzinfo=zone).astimezone(UTC)
        again = found.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise RequestError(f"{name} {text} is no time in {zone.key}: expected one between 1900 and 2300") from None
    if again != at:
        message = f"{name} {text} does not exist in {zone.key}: the clocks skip it; give a later time or add an offset"
        raise RequestError(message)
    return found
