"""The periods of a summary: those words of `reports.calendar.periods` that name a period relative to today."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from reports.calendar.periods import stretch

EXPECTED = "yesterday, today, last or this week, month or year, or last N days"

_KNOWN = re.compile(r"today|yesterday|last [1-9]\d{0,2} days|(last|this) (week|month|year)")


def period(words: str, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first instant of a period and the first one after it, in UTC; raises ValueError for other words.

    `today` and `this ...` end at `now`, because nothing later has happened.
    """
    words = " ".join(words.lower().split())
    if not _KNOWN.fullmatch(words):
        raise ValueError(f"expected {EXPECTED}")
    found = stretch(words, now, zone, name="period")
    return found.from_, found.to or now
