"""The report `heatmap`: weekday by hour of the local clock, as a list of cells and as tables to look at."""

import polars as pl

from reports.calendar import intervals
from reports.calendar.intervals import Interval
from reports.catalogue import sla
from reports.catalogue.spec import ReportSpec
from reports.errors import RequestError
from reports.measures.definitions import ValueKind, digest
from reports.measures.measures import (
    AGGREGATES,
    WAIT_EDGES_SECS,
    every_measure,
)
from reports.request import effective_policy
from reports.request.request import Request
from reports.source import Source
from reports.tables import dimensions, occupancy, visit_data
from reports.tables.assembly import of_visits
from reports.tables.dimensions import HOURS, WEEKDAYS
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.visit_data import VisitData

_HOUR_MS = 3_600_000
_CLOCK = (dimensions.CLOCK["weekday"], dimensions.CLOCK["hour"])
_TIMES = Column("times", "Times", ValueKind.COUNT, 4, "how often the period has this hour of this weekday")
_HOURS = Column("hours", "Hours", ValueKind.NUMBER, 3, "time of this hour of this weekday that there was, in hours")
_PER_HOUR = Column("offered_per_hour", "Offered per hour", ValueKind.NUMBER, 2, "offered / hours")
MEASURE_DEFINITIONS = digest(every_measure(), WAIT_EDGES_SECS, _HOURS, _PER_HOUR)
_MATRICES = (
    ("offered", "Offered", ValueKind.COUNT),
    ("service_level", "Service level", ValueKind.RATE),
    ("mean_wait_answered_ms", "ASA", ValueKind.DURATION),
)


def report(source: Source, request: Request) -> Report:
    """Return the report. An hour in which nobody came has no service level. Raises RequestError."""
    if request.by or request.interval:
        raise RequestError(
            "heatmap is by weekday and hour: expected neither --by nor --interval; one queue's is --queue NAME, and "
            "`holdtime report sla --by queue,weekday,hour` has the cells of all"
        )
    found = visit_data.read(source, request)
    made, covered = found.tables, found.covered
    measured = sla.columns(made.effective_request.variant)
    by = [dimensions.calendar(name, request, covered) for name in ("weekday", "hour")]
    grid = pl.DataFrame({"weekday": WEEKDAYS}).join(pl.DataFrame({"hour": HOURS}), how="cross")
    cells = grid.join(made.grouped(by), on=["weekday", "hour"], how="left").join(
        _times(found), on=["weekday", "hour"], how="left"
    )
    cells = cells.with_columns(
        pl.col(*(each.name for each in AGGREGATES if each.how != "max"), "times", "hours").fill_null(0)
    ).with_columns(offered_per_hour=pl.when(pl.col("hours") > 0).then(pl.col("offered") / pl.col("hours")))
    columns = (*_CLOCK, _TIMES, _HOURS, _PER_HOUR, *measured)
    listed = Section("cells", "By weekday and hour", columns, cells, aside=True)
    sections = [_matrix(cells, name, title, kind) for name, title, kind in _MATRICES]
    return of_visits(
        found,
        made.table([]).row(0, named=True),
        name="heatmap",
        title="Weekday by hour",
        sections=[*sections, listed],
        main="cells",
        said=[
            "Hours are those of the local clock. What came per hour is divided by the time that there was: an hour "
            "that is there twice counts twice, one that is skipped not, one that the period cuts as what is left of it"
            + _of_hours(request)
        ],
        measures=MEASURE_DEFINITIONS,
        charts=("heatmap_offered", "heatmap_service_level"),
    )


def _of_hours(request: Request) -> str:
    if request.hours is None:
        return "."
    return f", and of all only what was {request.hours} for any of these queues."


def _times(found: VisitData) -> pl.DataFrame:
    """Return how often the period has each hour of each weekday, and how much time of it there was."""
    schema = {"weekday": pl.String, "hour": pl.String, "times": pl.Int64, "hours": pl.Float64}
    request, covered = found.tables.request, found.covered
    if covered is None:
        return pl.DataFrame(schema=schema)
    spine = covered.spine(request, Interval.HOUR)
    known = {*found.tables.queues, *(each.queue for each in request.effective_policies[1:])}
    there = effective_policy.stretches(
        request.effective_policies, request.queues or known, request.hours, covered.from_, covered.to
    )
    instants = [[intervals.micros(at) // 1000 for at in stretch] for stretch in there]
    stretches = pl.DataFrame(instants, schema={"start_ms": pl.Int64, "end_ms": pl.Int64}, orient="row")
    lasting = occupancy.clipped(stretches, spine).group_by("interval").agg(ms=pl.col("clipped_ms").sum())
    counted = (
        pl.concat([spine.frame(), dimensions.clock(spine, request)], how="horizontal")
        .join(lasting, on="interval", how="left")
        .group_by("weekday", "hour")
        .agg(times=pl.len().cast(pl.Int64), ms=pl.col("ms").sum().cast(pl.Float64))
    )
    return counted.select(
        weekday=pl.lit(pl.Series(WEEKDAYS)).gather("weekday"),
        hour=pl.lit(pl.Series(HOURS)).gather("hour"),
        times="times",
        hours=pl.Series([ms / _HOUR_MS for ms in counted["ms"]], dtype=pl.Float64),
    )


def _matrix(cells: pl.DataFrame, name: str, title: str, kind: ValueKind) -> Section:
    """Return one measure with an hour a row and a weekday a column."""
    # Where the period has no such hour nothing is said, not even that nobody came.
    of_period = pl.when(pl.col("hours") > 0).then(pl.col(name)).alias(name)
    wide = cells.with_columns(of_period).pivot("weekday", index="hour", values=name)
    columns = (
        _CLOCK[1],
        *(Column(f"{name}_{day.lower()}", day[:3], kind, 1) for day in WEEKDAYS),
    )
    frame = wide.rename({day: f"{name}_{day.lower()}" for day in WEEKDAYS})
    return Section(name, f"{title} by weekday and hour", columns, frame)


SPEC = ReportSpec(
    name="heatmap",
    summary="weekday by hour: visits, service level, speed of answer",
    run=report,
    takes=frozenset({"hours"}),
)
