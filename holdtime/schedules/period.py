"""What `yesterday` and its like mean: local days, weeks and months, seen from a moment, in a time zone."""

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from reports import intervals

EXPECTED = "yesterday, today, last or this week, month or year, or last N days"

_DAYS = re.compile(r"last ([1-9]\d{0,2}) days")
_DAY = timedelta(days=1)


def period(words: str, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first instant of a period and the first one after it, in UTC; raises ValueError for other words.

    Days are those of the zone, 23 to 25 hours long where its clocks change; weeks begin on Monday (ISO 8601). `today`
    and `this ...` end at `now`, because nothing later has happened.
    """
    words = " ".join(words.lower().split())
    today = now.astimezone(zone).date()
    if words == "today":
        return intervals.midnight(today, zone), now
    if words == "yesterday":
        return intervals.midnight(today - _DAY, zone), intervals.midnight(today, zone)
    if match := _DAYS.fullmatch(words):
        return intervals.midnight(today - int(match[1]) * _DAY, zone), intervals.midnight(today, zone)
    which, _, unit = words.partition(" ")
    if which not in {"last", "this"} or unit not in {"week", "month", "year"}:
        raise ValueError(f"expected {EXPECTED}")
    this = _first(today, unit)
    if which == "this":
        return intervals.midnight(this, zone), now
    return intervals.midnight(_first(this - _DAY, unit), zone), intervals.midnight(this, zone)


def _first(day: date, unit: str) -> date:
    """Return the first day of the week, month or year that a day is in."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)
