"""What a table can be grouped by, `--by`: times of the local calendar for all facts, and columns of their own for some.

A dimension gives every row the whole number of its group, so that grouping is quick whatever the labels are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from reports.calendar.intervals import (
    Interval,
    Spine,
    midnight,
)
from reports.errors import RequestError
from reports.measures.definitions import ValueKind
from reports.request.request import Request
from reports.tables.report import Column
from reports.tables.visits import Period

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HOURS = tuple(f"{hour:02}:00" for hour in range(24))
CLOCK = {"hour": Column("hour", "Hour", ValueKind.TEXT, 1), "weekday": Column("weekday", "Weekday", ValueKind.TEXT, 1)}
CALENDAR = ("interval", "hour", "weekday", "day", "week", "month")
_TEXTS = {"hour": HOURS, "weekday": WEEKDAYS}
_LENGTHS = {"day": Interval.DAY, "week": Interval.WEEK, "month": Interval.MONTH}


@dataclass(frozen=True, slots=True)
class Dimension:
    """`number` is the group of a row, `labels` the values that numbers stand for, if they are not values themselves."""

    column: Column
    number: pl.Expr
    labels: pl.Series | None = None

    @property
    def name(self) -> str:
        return self.column.name


def chosen(
    request: Request, covered: Period | None, *, own: Mapping[str, Column], report: str, at: str = "enqueued_at"
) -> list[Dimension]:
    """Return the dimensions that a request names. `own` are columns of the facts; `at` holds when they count.

    Raises RequestError.
    """
    for name in request.by:
        if name not in own and name not in CALENDAR:
            known = ", ".join((*own, *CALENDAR))
            raise RequestError(f"{report} cannot be grouped by {name!r}: expected some of {known}")
    return [
        Dimension(own[name], pl.col(name)) if name in own else calendar(name, request, covered, at)
        for name in request.by
    ]


def calendar(name: str, request: Request, covered: Period | None, at: str = "enqueued_at") -> Dimension:
    """Return a dimension of local time: hour and weekday of the clock, or day, week, month, interval of the period.

    Raises RequestError for `interval` when nobody said how long one is.
    """
    if name in CLOCK:
        numbers = clock(covered.spine(request, Interval.HOUR), request)[name] if covered else pl.Series([0])
        position = pl.lit(0) if covered is None else covered.spine(request, Interval.HOUR).position(at)
        return Dimension(CLOCK[name], pl.lit(numbers).gather(position), pl.Series(_TEXTS[name]))
    length = request.interval if name == "interval" else _LENGTHS[name]
    if length is None:
        raise RequestError("grouping by interval needs to know its length: expected --interval 30m or another one")
    spine = None if covered is None else covered.spine(request, length)
    kind = kind_of_bound(length, None if spine is None else spine.bounds[0], request.zone)
    column = Column("interval_start" if name == "interval" else name, length.noun.capitalize(), kind, 1)
    bounds: Sequence[datetime] = () if spine is None else spine.bounds
    position = pl.lit(0) if spine is None else spine.position(at)
    return Dimension(column, position, pl.Series(bounds, dtype=pl.Datetime("us", "UTC")))


def kind_of_bound(length: Interval, bound: datetime | None, zone: ZoneInfo) -> ValueKind:
    """Return the kind of a column of bounds: a date where intervals are days or longer and `bound` cuts none."""
    if length.length is not None:
        return ValueKind.TIME
    is_within_a_day = bound is not None and bound != midnight(bound.astimezone(zone).date(), zone)
    return ValueKind.TIME if is_within_a_day else ValueKind.DATE


def interval_columns(length: Interval, spine: Spine | None, zone: ZoneInfo) -> tuple[Column, Column]:
    """Return the columns that name an interval: its beginning and its end, which people see where a period cuts one."""
    first, last = (None, None) if spine is None else (spine.bounds[0], spine.bounds[-1])
    priority = 1 if spine is not None and spine.is_cut else 9
    return (
        Column("interval_start", length.noun.capitalize(), kind_of_bound(length, first, zone), 1),
        Column("interval_end", "Until", kind_of_bound(length, last, zone), priority),
    )


def clock(spine: Spine, request: Request) -> pl.DataFrame:
    """Return `hour` (0 to 23) and `weekday` (0 is Monday) of each interval of a spine, on the local clock."""
    locals_ = [at.astimezone(request.zone) for at in spine.bounds[:-1]]
    return pl.DataFrame(
        {"hour": [at.hour for at in locals_], "weekday": [at.weekday() for at in locals_]},
        schema={"hour": pl.Int64, "weekday": pl.Int64},
    )


def numbered(rows: pl.LazyFrame, dimensions: Sequence[Dimension]) -> pl.LazyFrame:
    """Return rows with the number of their group in each dimension, under the dimension's name."""
    return rows.with_columns(each.number.alias(each.name) for each in dimensions)


def labelled(groups: pl.DataFrame, dimensions: Sequence[Dimension]) -> pl.DataFrame:
    """Return groups in order, with labels for numbers."""
    ordered = groups.sort([each.name for each in dimensions], nulls_last=True)
    labels: dict[str, Any] = {
        each.name: each.labels.gather(ordered[each.name]) for each in dimensions if each.labels is not None
    }
    return ordered.with_columns(**labels)


def title(dimensions: Sequence[Dimension]) -> str:
    """Return what people call a table that is grouped so: By queue and weekday."""
    return "By " + " and ".join(each.column.title.lower() for each in dimensions)


def of_column(column: Column) -> Dimension:
    """Return the dimension of a column that the facts have."""
    return Dimension(column, pl.col(column.name))
