"""Facts other than queue visits read for a report, and numbers over them: each is defined once, by its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from reports.calendar.intervals import Spine
from reports.measures.definitions import ValueKind
from reports.request.request import Request
from reports.source import Source
from reports.tables import dimensions, visits
from reports.tables.dimensions import Dimension, interval_columns
from reports.tables.report import Column, Section
from reports.tables.visits import Period

_IN_QUEUES = "and list_contains($queues::varchar[], queue)"
# Those whose session ever visited one of the queues, however long before or after. Only sessions of the period's facts
# are looked for, so that what is kept in memory does not grow with history.
_OF_QUEUES = """
and call_session_id in (
    select call_session_id
    from queue_visits
    where list_contains($queues::varchar[], queue)
    and call_session_id in (
        select call_session_id
        from {table}
        where {moment} >= make_timestamptz($from)
        and {moment} < make_timestamptz($to)
    )
)
"""


@dataclass(frozen=True, slots=True)
class FactMeasure:
    """A number over facts: SQL `of` a fact, taken together by `how`. A sum over nothing is 0, all else null."""

    name: str
    title: str
    how: str
    of: str
    formula: str
    kind: ValueKind = ValueKind.COUNT
    priority: int = 5

    @property
    def expr(self) -> pl.Expr:
        of = pl.sql_expr(self.of)
        taken = {
            "sum": of.cast(pl.Int64).sum(),
            "max": of.max(),
            "mean": of.mean(),
            "median": _nearest_rank(of, 50),
            "p90": _nearest_rank(of, 90),
            # A share of the facts for which the claim is either true or false.
            "share": of.cast(pl.Int64).mean(),
        }
        return taken[self.how].alias(self.name)

    @property
    def column(self) -> Column:
        return Column(self.name, self.title, self.kind, self.priority, self.formula)


def _nearest_rank(of: pl.Expr, percent: int) -> pl.Expr:
    """Return the ceil(percent * n / 100)th value, as the percentiles of waits are."""
    return of.drop_nulls().sort().get((of.count() * percent + 99) // 100 - 1, null_on_oob=True)


@dataclass(frozen=True, slots=True)
class FactTable:
    """A table of facts: the time that puts one into a period, and SQL for each column that a report reads.

    `by_queue` says that the facts have a queue of their own; others belong to those that their session visited.
    """

    table: str
    moment: str
    columns: Mapping[str, str]
    by_queue: bool = False

    def period(self, source: Source, request: Request) -> Period | None:
        return visits.period(source, request, self.moments)

    @property
    def moments(self) -> str:
        """Return SQL for when each fact `began`, and `ended` as far as a period is concerned; each is one."""
        return f"select {self.moment} as began, {self.moment} as ended, 1 as facts from {self.table}"

    def read(self, source: Source, request: Request, covered: Period | None) -> pl.LazyFrame:
        """Return the facts of a period, those of sessions that were in the queues asked for, with their time as `at`.

        `at` is in microseconds since 1970.
        """
        named = ", ".join(f"{sql} as {name}" for name, sql in self.columns.items())
        values: dict[str, Any] = {"from": 0, "to": 0}
        if covered is not None:
            values = {"from": covered.from_us, "to": covered.to_us}
        chosen = ""
        if request.queues:
            chosen = _IN_QUEUES if self.by_queue else _OF_QUEUES.format(table=self.table, moment=self.moment)
            values["queues"] = list(request.queues)
        query = f"""
            select epoch_us({self.moment}) as at, {named}
            from {self.table}
            where {self.moment} >= make_timestamptz($from) and {self.moment} < make_timestamptz($to)
            {chosen}
        """
        rows = pl.from_arrow(source.db.sql(query, params=values).to_arrow_table())
        assert isinstance(rows, pl.DataFrame)  # noqa: S101 -- for the type checker: a table never becomes a series
        return rows.lazy()

    def timeless(self, source: Source) -> int:
        """Return how many facts have no known time, and so belong to no period."""
        ((count,),) = source.db.execute(f"select count(*) from {self.table} where {self.moment} is null").fetchall()
        return int(count)


def measured(rows: pl.LazyFrame, measures: Sequence[FactMeasure], by: Sequence[str] = ()) -> pl.LazyFrame:
    """Return every measure, one row a group; one row in all when `by` is empty."""
    expressions = [measure.expr for measure in measures]
    return rows.group_by(list(by)).agg(expressions) if by else rows.select(expressions)


def by_interval(rows: pl.LazyFrame, measures: Sequence[FactMeasure], spine: Spine) -> pl.DataFrame:
    """Return every measure for each interval; sums over nothing are 0, all else is null."""
    found = measured(rows.with_columns(interval=spine.position("at")), measures, ["interval"])
    sums = [measure.name for measure in measures if measure.how == "sum"]
    every = spine.frame().lazy().join(found, on="interval", how="left")
    return every.with_columns(pl.col(sums).fill_null(0)).sort("interval").collect()


def grouped(
    name: str, rows: pl.LazyFrame, measures: Sequence[FactMeasure], by: Sequence[Dimension], title: str = ""
) -> Section:
    """Return a section with every measure for each group that occurs."""
    names = [each.name for each in by]
    found = measured(dimensions.numbered(rows, by), measures, names).collect()
    columns = (*(each.column for each in by), *(measure.column for measure in measures))
    return Section(name, title or dimensions.title(by), columns, dimensions.labelled(found, by))


def over_time(
    rows: pl.LazyFrame, measures: Sequence[FactMeasure], request: Request, spine: Spine | None
) -> list[Section]:
    """Return the section of intervals, if any were asked for."""
    if spine is None or request.interval is None:
        return []
    columns = (
        *interval_columns(request.interval, spine, request.zone),
        *(measure.column for measure in measures),
    )
    return [Section("intervals", f"By {request.interval.noun}", columns, by_interval(rows, measures, spine))]
