"""Local time cut into half-open intervals: 15m, 30m, 1h, 1d, 1w (from Monday, ISO 8601) and 1mo, in an IANA time zone.

A day has 46, 48 or 50 half-hours. When the clocks go back, the repeated hour is there twice, as two intervals with
different instants and offsets. Where a change of offset falls inside an interval (Lord Howe Island moves by half an
hour, so it cuts an hour in two), the interval ends there and a shorter one begins: no interval has two offsets unless
it is a day or longer.

Offsets come from `zoneinfo` alone. DuckDB and polars carry time zone tables of their own, of other years, and mixing
them would move visits at the edges.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from reports.errors import RequestError

MAX_INTERVALS = 100_000
MAX_ROWS = 1_000_000
"""The most rows of a table of queues by intervals, where each pair has a row even without visits."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


LENGTH_MS = (pl.col("interval_end") - pl.col("interval_start")).dt.total_milliseconds()
"""How long an interval of `Spine.frame` lasts, in milliseconds (Int64): what rates in time are divided by."""


class Interval(StrEnum):
    """The interval lengths that reports know."""

    QUARTER_HOUR = "15m"
    HALF_HOUR = "30m"
    HOUR = "1h"
    DAY = "1d"
    WEEK = "1w"
    MONTH = "1mo"

    @property
    def noun(self) -> str:
        """Return what people call it: half hour."""
        return _NOUNS[self]

    @property
    def length(self) -> timedelta | None:
        """Return the length of an interval shorter than a day, else None: days, weeks and months vary."""
        return _LENGTHS.get(self)


_NOUNS = {
    Interval.QUARTER_HOUR: "quarter hour",
    Interval.HALF_HOUR: "half hour",
    Interval.HOUR: "hour",
    Interval.DAY: "day",
    Interval.WEEK: "week",
    Interval.MONTH: "month",
}
_LENGTHS = {
    Interval.QUARTER_HOUR: timedelta(minutes=15),
    Interval.HALF_HOUR: timedelta(minutes=30),
    Interval.HOUR: timedelta(hours=1),
}
_ROUGHLY = {Interval.DAY: _DAY, Interval.WEEK: timedelta(weeks=1), Interval.MONTH: timedelta(days=30)}


@dataclass(frozen=True, slots=True)
class Spine:
    """The intervals that touch a period, complete and in order, empty ones too.

    `bounds` holds n + 1 instants in UTC for n intervals: interval i is `[bounds[i], bounds[i + 1])`. `is_cut` says that
    the first or the last is shorter than the clock makes it, because the period begins or ends within it.
    """

    bounds: tuple[datetime, ...]
    is_cut: bool = False

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def within(self, from_: datetime, to: datetime) -> "Spine":
        """Return the intervals without what lies outside of a period that all of them touch, in whole milliseconds."""
        first, *inner, last = self.bounds
        start = max(first, from_ - (from_ - _EPOCH) % _MILLISECOND)
        end = min(last, to + (_EPOCH - to) % _MILLISECOND)
        return Spine((start, *inner, end), is_cut=start > first or end < last)

    def position(self, at: str = "enqueued_at") -> pl.Expr:
        """Return the number of the interval (Int64, from 0) that holds each instant of column `at`.

        `at` is Datetime("us", "UTC") or microseconds since 1970. Outside the bounds the number is -1 or n.
        """
        bounds = pl.Series("bounds", [micros(bound) for bound in self.bounds], dtype=pl.Int64)
        return pl.lit(bounds).search_sorted(pl.col(at).cast(pl.Int64), side="right").cast(pl.Int64) - 1

    def frame(self) -> pl.DataFrame:
        """Return the intervals as rows: `interval` (Int64, from 0), `interval_start`, `interval_end` (UTC)."""
        return pl.DataFrame(
            {
                "interval": range(len(self)),
                "interval_start": self.bounds[:-1],
                "interval_end": self.bounds[1:],
            },
            schema={
                "interval": pl.Int64,
                "interval_start": pl.Datetime("us", "UTC"),
                "interval_end": pl.Datetime("us", "UTC"),
            },
        )


def zone(name: str) -> ZoneInfo:
    """Return the IANA time zone of that name. Raises RequestError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the name of a folder of the time zone database, such as "Europe".
        message = (
            f"time zone {name!r} is not known: expected an IANA name such as Europe/Berlin, America/New_York or UTC"
        )
        raise RequestError(message) from None


def interval(name: str) -> Interval:
    """Return the interval of that name. Raises RequestError when there is none."""
    try:
        return Interval(name)
    except ValueError:
        raise RequestError(f"interval {name!r} is not known: expected one of {', '.join(Interval)}") from None


def micros(at: datetime) -> int:
    """Return an instant in microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def midnight(day: date, tz: ZoneInfo) -> datetime:
    """Return the first instant of a local day, in UTC. Where clocks skip midnight, that is when they jump."""
    return datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)


def shown(local: datetime, tz: ZoneInfo) -> datetime:
    """Return when, in UTC, the clocks show a local time first; where they skip it, when they jump."""
    at, after = (local.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1))
    if at <= after:
        return at
    # Of a time that there never was, one reading lies after the jump and one before it.
    _, jump, _ = next(_stretches(after, at, tz))
    return jump


def spine(from_: datetime, to: datetime, tz: ZoneInfo, length: Interval) -> Spine:
    """Return the whole intervals of local time that touch `[from_, to)`. Raises RequestError when they are too many."""
    expected = (to - from_) / (length.length or _ROUGHLY[length])
    if expected > MAX_INTERVALS:
        message = (
            f"the period from {from_:%Y-%m-%d} to {to:%Y-%m-%d} has some {expected:,.0f} intervals of {length}, "
            f"and a report has {MAX_INTERVALS:,} at most: choose a longer interval or a shorter period"
        )
        raise RequestError(message)
    every = length.length
    starts = _dates(from_, to, tz, length) if every is None else _within_days(from_, to, tz, every)
    ordered = sorted(set(starts))  # a local day that never was starts and ends at one instant
    first = max(n for n, start in enumerate(ordered) if start <= from_)
    last = min(n for n, start in enumerate(ordered) if start >= to)
    return Spine(tuple(ordered[first : last + 1]))


def require_bounded(queues: int, spine: Spine) -> None:
    """Raise RequestError where a table of queues by intervals has more rows than a report takes."""
    if queues * len(spine) > MAX_ROWS:
        message = (
            f"{queues:,} queues in {len(spine):,} intervals are {queues * len(spine):,} rows, and a report has "
            f"{MAX_ROWS:,} at most: choose a longer interval, a shorter period, or some of the queues (--queue)"
        )
        raise RequestError(message)


def fitting(from_: datetime, to: datetime, most: int = 100) -> Interval:
    """Return the shortest interval that cuts the period into at most `most` pieces, for a chart that can be read."""
    for length in (Interval.HALF_HOUR, Interval.HOUR, Interval.DAY, Interval.WEEK):
        if (to - from_) / (length.length or _ROUGHLY[length]) <= most:
            return length
    return Interval.MONTH


def _dates(from_: datetime, to: datetime, tz: ZoneInfo, length: Interval) -> Iterator[datetime]:
    day = _day_before(from_, tz)
    if length is Interval.WEEK:
        day -= timedelta(days=day.weekday())
    elif length is Interval.MONTH:
        day = day.replace(day=1)
    while (start := midnight(day, tz)) < to:
        yield start
        if length is Interval.MONTH:
            day = (day + timedelta(days=31)).replace(day=1)
        else:
            day += _DAY if length is Interval.DAY else timedelta(weeks=1)
    yield start


def _within_days(from_: datetime, to: datetime, tz: ZoneInfo, every: timedelta) -> Iterator[datetime]:
    begin = midnight(_day_before(from_, tz), tz)
    # A day more than asked for, so that the interval that holds the period's end has its own end too.
    for start, end, offset in _stretches(begin, to + _DAY, tz):
        yield start
        local = start.replace(tzinfo=None) + offset
        into = (local - datetime.min) % every  # noqa: DTZ901 -- local time has no zone here
        at = start + (every - into if into else every)
        while at < end:
            yield at
            at += every


def _day_before(at: datetime, tz: ZoneInfo) -> date:
    # A day too early, and cut off later: where clocks jump over midnight, a day does not begin at its midnight.
    return at.astimezone(tz).date() - _DAY


def _stretches(begin: datetime, end: datetime, tz: ZoneInfo) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Yield (start, end, offset) for each stretch of time in which the zone's offset does not change."""
    start = at = begin
    while at < end:
        ahead = min(at + _DAY, end)
        if _offset(ahead, tz) == _offset(start, tz):
            at = ahead
            continue
        before = at
        while ahead - before > _SECOND:
            middle = before + (ahead - before) // 2
            middle -= timedelta(microseconds=middle.microsecond)
            middle = max(middle, before + _SECOND)
            before, ahead = (middle, ahead) if _offset(middle, tz) == _offset(start, tz) else (before, middle)
        yield start, ahead, _offset(start, tz)
        start = at = ahead
    yield start, end, _offset(start, tz)


def _offset(at: datetime, tz: ZoneInfo) -> timedelta:
    return at.astimezone(tz).utcoffset() or timedelta()
