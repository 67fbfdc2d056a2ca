"""Business hours: `mon-fri 09:00-17:00`, in a time zone, less holidays, as stretches of time."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TEXT = re.compile(rf"({'|'.join(WEEKDAYS)})(?:-({'|'.join(WEEKDAYS)}))? (\d\d:\d\d)-(\d\d:\d\d)")
_DAY = timedelta(days=1)
_MIDNIGHT = 24 * 60


class Hours(StrEnum):
    """Whether a visit began within the business hours of its queue."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Opening:
    """Hours of one weekday (0 is Monday), in minutes of the local day; `to` beyond 24 h reaches into the next day."""

    weekday: int
    from_: int
    to: int


def openings(text: str) -> tuple[Opening, ...]:
    """Return the hours that a text means; an end that is not after its beginning is of the next day. Raises ValueError.

    24:00 is the end of a day.
    """
    found = _TEXT.fullmatch(" ".join(text.lower().split()))
    if found is None:
        raise ValueError(f"expected hours such as 'mon-fri 09:00-17:00' or 'sat 10:00-14:00', found {text!r}")
    first = WEEKDAYS.index(found[1])
    days = (WEEKDAYS.index(found[2] or found[1]) - first) % 7 + 1
    from_, to = (_minutes(each, text) for each in (found[3], found[4]))
    to += _MIDNIGHT if to <= from_ else 0
    return tuple(Opening((first + n) % 7, from_, to) for n in range(days))


def _minutes(text: str, whole: str) -> int:
    hours, minutes = (int(part) for part in text.split(":"))
    if minutes > 59 or hours * 60 + minutes > _MIDNIGHT:
        raise ValueError(f"expected times from 00:00 to 24:00, found {whole!r}")
    return hours * 60 + minutes


def opened(
    hours: Iterable[Opening], holidays: Collection[date], zone: ZoneInfo, from_: datetime, to: datetime
) -> list[tuple[datetime, datetime]]:
    """Return when it is open around a period, as instants in UTC, in order and apart from one another.

    A holiday is a local day on which nothing opens; what opened on the eve goes on to its end.
    """
    return merged(_each(tuple(hours), holidays, zone, from_, to))


def merged(stretches: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return all time that lies in some of the stretches, in order and apart from one another."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif start < end:
            found.append((start, end))
    return found


def _each(
    hours: Iterable[Opening], holidays: Collection[date], zone: ZoneInfo, from_: datetime, to: datetime
) -> Iterator[tuple[datetime, datetime]]:
    day, last = from_.astimezone(zone).date() - _DAY, to.astimezone(zone).date()
    while day <= last:
        for each in hours:
            if each.weekday == day.weekday() and day not in holidays:
                yield _at(day, each.from_, zone), _at(day, each.to, zone)
        day += _DAY


def _at(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    days, minutes = divmod(minutes, _MIDNIGHT)
    return datetime.combine(day + days * _DAY, time(minutes // 60, minutes % 60), zone).astimezone(UTC)
