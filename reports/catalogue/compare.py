"""The report `compare`: a period against the one before it, and against the same one a week earlier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from reports import humanize
from reports.calendar import intervals
from reports.catalogue.spec import ReportSpec
from reports.errors import RequestError
from reports.formats import cells
from reports.measures.definitions import (
    Measure,
    ValueKind,
    digest,
)
from reports.measures.measures import WAIT_EDGES_SECS, every_measure
from reports.request import scope
from reports.request.request import Request
from reports.source import Source
from reports.tables import dimensions, visit_data
from reports.tables.assembly import of_visits
from reports.tables.dimensions import WEEKDAYS
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.visit_data import VisitData
from reports.tables.visit_tables import OWN, QUEUE
from reports.tables.visits import Period

MEASURE_DEFINITIONS = digest(every_measure(), WAIT_EDGES_SECS)
_ANY = "All times"
_DAY = timedelta(days=1)
# What one period has in common with another: queues, and times of the clock; a day has no counterpart.
_GROUPS = ("queue", "weekday", "hour")
_MEASURES = (
    "offered",
    "answered",
    "abandoned",
    "service_level",
    "abandonment_rate",
    "mean_wait_answered_ms",
    "wait_p90_ms",
    "longest_wait_ms",
)
_COLUMNS = (
    Column("measure", "Measure", ValueKind.TEXT, 1),
    Column("now", "This period", ValueKind.TEXT, 1, figures=True),
    Column("before", "Before", ValueKind.TEXT, 1, figures=True),
    Column("change", "Change", ValueKind.TEXT, 1, figures=True),
    Column("week", "A week earlier", ValueKind.TEXT, 2, figures=True),
    Column("week_change", "Change in a week", ValueKind.TEXT, 2, figures=True),
    Column("name", "Name", ValueKind.TEXT, 9),
    Column("unit", "Unit", ValueKind.TEXT, 9),
    *(
        Column(f"{side}_value", f"{side.capitalize()}, number", ValueKind.NUMBER, 9)
        for side in ("now", "before", "week")
    ),
)


Key = tuple[str | None, ...]

WHOLE: Key = ()
"""The key of the row of all there is: no name of a queue is equal to it."""


def report(source: Source, request: Request) -> Report:
    """Return the report. What was nothing before has no change in percent. Raises RequestError."""
    by = request.by or ("queue",)
    if set(by) - set(_GROUPS) or request.interval:
        raise RequestError(
            f"compare puts periods side by side: expected --by some of {', '.join(_GROUPS)}, for a day or an interval "
            "of one period is in no other, and no --interval"
        )
    found = visit_data.read(source, request)
    variant = found.tables.effective_request.variant
    sides: dict[str, Mapping[Key, Any]] = {"now": _rows(found, by)}
    periods: dict[str, Period | None] = {}
    if found.covered is not None:
        periods = {"before": preceding(found.covered, request.zone), "week": earlier(found.covered, request.zone, 7)}
    for side in ("before", "week"):
        other = periods.get(side)
        # Without a period nothing is read, for the one side as for the other.
        asked = request if other is None else replace(request, from_=other.from_, to=other.to)
        sides[side] = {} if periods and other is None else _rows(visit_data.read(source, asked), by)
    measures = [measure for name in _MEASURES for measure in every_measure(variant) if measure.name == name]
    keys = sorted({key for rows in sides.values() for key in rows}, key=_order)
    rows = [_row(_labels(key, by, request), measure, sides, key, request.zone) for key in keys for measure in measures]
    columns = (*(_column(name) for name in by), *_COLUMNS)
    schema = {c.name: pl.Float64 if c.kind is ValueKind.NUMBER else pl.String for c in columns}
    compared = pl.DataFrame(rows, schema=schema)
    return of_visits(
        found,
        sides["now"][WHOLE],
        name="compare",
        title="Then and now",
        sections=[Section("compare", "Then and now", columns, compared)],
        periods=_periods(periods, request),
        said=["Rates change by percentage points, all else by percent of what it was."],
        measures=MEASURE_DEFINITIONS,
    )


def preceding(period: Period, zone: ZoneInfo) -> Period | None:
    """Return the period before, of the same local times: as many months where it is whole ones, else as many days.

    Part of a day, or of several, is compared with the same part of as many days before: what has passed of today with
    as much of yesterday. None where the clocks skipped all of it.
    """
    from_, to = (_clock(at, zone) for at in (period.from_, period.to))
    if from_.time() == to.time() == time() and from_.day == to.day == 1:
        months = (to.year - from_.year) * 12 + to.month - from_.month
        year, month = divmod(from_.year * 12 + from_.month - 1 - months, 12)
        return Period(intervals.shown(datetime.combine(date(year, month + 1, 1), time()), zone), period.from_)
    return earlier(period, zone, max(1, -(-(to - from_) // _DAY)))


def earlier(period: Period, zone: ZoneInfo, days: int) -> Period | None:
    """Return the same local times so many days earlier, whatever the clocks did meanwhile.

    A time that the clocks show twice begins with the first and ends with the first; one that they skip is when they
    jump. None where nothing is left.
    """
    from_, to = (intervals.shown(_clock(at, zone) - days * _DAY, zone) for at in (period.from_, period.to))
    return Period(from_, to) if from_ < to else None


def _clock(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def _column(name: str) -> Column:
    return QUEUE if name == "queue" else dimensions.CLOCK[name]


def _order(key: Key) -> tuple[tuple[int, str], ...]:
    """Return what puts keys in order: all together first, weekdays as they come, calls of no queue last."""
    return tuple((WEEKDAYS.index(label) if label in WEEKDAYS else 0 if label else 9, label or "") for label in key)


def _rows(found: VisitData, by: tuple[str, ...]) -> dict[Key, Any]:
    """Return the measures of each group, all definitions of a queue together, and of all there is."""
    made = found.tables
    if by == ("queue",):
        frame = made.merged()
    else:
        chosen = dimensions.chosen(replace(made.request, by=by), found.covered, own=OWN, report="compare")
        frame = made.grouped(chosen)
    rows: dict[Key, Any] = {WHOLE: made.table([]).row(0, named=True)}
    return rows | {tuple(row[name] for name in by): row for row in frame.iter_rows(named=True)}


@dataclass(frozen=True, slots=True)
class _Change:
    before: float | None
    now: float | None
    kind: ValueKind

    def __str__(self) -> str:
        if self.before is None or self.now is None:
            return humanize.DASH
        if self.kind is ValueKind.RATE:
            return f"{100 * (self.now - self.before):+.1f} points"
        return humanize.DASH if not self.before else f"{100 * (self.now - self.before) / self.before:+.1f} %"


def _labels(key: Key, by: Sequence[str], request: Request) -> dict[str, str | None]:
    """Return what stands in the columns of the groups."""
    whole = (scope.whole(request) if by[0] == "queue" else _ANY, *(None for _ in by[1:]))
    return dict(zip(by, key or whole, strict=True))


def _row(
    labels: dict[str, str | None], measure: Measure, sides: Mapping[str, Mapping[Key, Any]], key: Key, zone: ZoneInfo
) -> dict[str, Any]:
    column = Column.of(measure)
    # Where nobody came nothing was offered, and nothing else is to be said; where there was no time, not even that.
    nobody = {"offered": 0, "answered": 0, "abandoned": 0}
    values = {side: (rows.get(key) or (nobody if rows else {})).get(measure.name) for side, rows in sides.items()}
    return {
        **labels,
        "measure": measure.title,
        "name": measure.name,
        "unit": column.unit,
        **{side: cells.text(value, column, zone) for side, value in values.items()},
        **{f"{side}_value": None if value is None else float(value) for side, value in values.items()},
        "change": str(_Change(values["before"], values["now"], measure.kind)),
        "week_change": str(_Change(values["week"], values["now"], measure.kind)),
    }


def _periods(periods: Mapping[str, Period | None], request: Request) -> list[str]:
    words = {"before": "Before", "week": "A week earlier"}
    return [f"{words[side]}: {_in_words(each, request)}." for side, each in periods.items()]


def _in_words(period: Period | None, request: Request) -> str:
    if period is None:
        return f"nothing, for the clocks of {request.tz} skipped these times"
    from_, to = (humanize.moment(at, request.zone) for at in (period.from_, period.to))
    return f"from {from_} up to, not including, {to}"


SPEC = ReportSpec(
    name="compare",
    summary="this period against the one before, and week over week",
    run=report,
    takes=frozenset({"hours"}),
)
