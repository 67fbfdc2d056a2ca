"""The report `conferences`: how many, how long, how they ended and how full they were."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from reports import notes
from reports.definitions import Kind, digest
from reports.intervals import Spine
from reports.report import Column, Report, RestsOn, Section
from reports.request import Request
from reports.source import Source
from reports.visits import Period, period

_EXTENT = "select epoch_us(min(created_at)), epoch_us(max(created_at)) from conferences"

_COLUMNS = (
    "status",
    "duration_ms",
    "end_reason",
    "end_reason_source",
    "participants",
    "unique_participants",
    "peak_participants",
    "participant_ms",
    "floor_changes",
    "recordings",
)
RESTS_ON = RestsOn("conferences", "created_at", _COLUMNS, by_queue=False)

_READ = f"""
select epoch_us(created_at) as created_at, {", ".join(_COLUMNS)}
from conferences
where created_at >= make_timestamptz($from) and created_at < make_timestamptz($to)
"""

_TIMELESS = "select count(*) from conferences where created_at is null"


@dataclass(frozen=True, slots=True)
class ConferenceMeasure:
    """A number over conferences: SQL `of` a conference, taken together by `how`."""

    name: str
    title: str
    how: str
    of: str
    formula: str
    kind: Kind = Kind.COUNT
    priority: int = 5

    @property
    def expr(self) -> pl.Expr:
        of = pl.sql_expr(self.of)
        taken = {
            "sum": of.cast(pl.Int64).sum(),
            "max": of.max(),
            "mean": of.mean(),
            # The lower of two middle values: nearest rank, as the percentiles of waits are.
            "median": of.drop_nulls().sort().get((of.count() - 1) // 2, null_on_oob=True),
        }
        return taken[self.how].alias(self.name)

    @property
    def column(self) -> Column:
        return Column(self.name, self.title, self.kind, self.priority, self.formula)


_DURATION = Kind.DURATION
MEASURES = (
    ConferenceMeasure("conferences", "Conferences", "sum", "status is not null", "conferences created", priority=1),
    ConferenceMeasure(
        "completed", "Completed", "sum", "status = 'completed'", "conferences that have ended", priority=2
    ),
    ConferenceMeasure(
        "in_progress", "In progress", "sum", "status = 'in_progress'", "conferences not ended", priority=3
    ),
    ConferenceMeasure("total_duration_ms", "Total time", "sum", "duration_ms", "sum of duration_ms", _DURATION, 2),
    ConferenceMeasure("mean_duration_ms", "Mean", "mean", "duration_ms", "mean of duration_ms", _DURATION, 1),
    ConferenceMeasure(
        "median_duration_ms", "Median", "median", "duration_ms", "nearest-rank median of duration_ms", _DURATION, 2
    ),
    ConferenceMeasure("longest_duration_ms", "Longest", "max", "duration_ms", "greatest duration_ms", _DURATION, 2),
    ConferenceMeasure(
        "peak_participants", "Peak", "max", "peak_participants", "most stays open at one moment, of any conference"
    ),
    ConferenceMeasure(
        "mean_peak_participants", "Mean peak", "mean", "peak_participants", "mean of peak_participants", priority=9
    ),
    ConferenceMeasure("stays", "Stays", "sum", "participants", "sum of stays, a rejoin being one more", priority=6),
    ConferenceMeasure(
        "unique_participants", "Legs", "sum", "unique_participants", "sum of legs, a rejoin being none", priority=4
    ),
    ConferenceMeasure(
        "participant_ms", "Participant time", "sum", "participant_ms", "sum of the stays' time", _DURATION, 3
    ),
    ConferenceMeasure("floor_changes", "Floor changes", "sum", "floor_changes", "sum of floor changes", priority=5),
    ConferenceMeasure("recordings", "Recordings", "sum", "recordings", "sum of recordings", priority=6),
)
MEASURE_DEFINITIONS = digest(MEASURES)
_HEADLINE = ("conferences", "in_progress", "mean_duration_ms", "longest_duration_ms", "peak_participants")


def measured(conferences: pl.LazyFrame, by: Sequence[str] = ()) -> pl.LazyFrame:
    """Return every measure, one row a group; one row in all when `by` is empty. Durations of nothing are null."""
    expressions = [measure.expr for measure in MEASURES]
    return conferences.group_by(list(by)).agg(expressions) if by else conferences.select(expressions)


def report(source: Source, request: Request) -> Report:
    """Return the report. Without conferences it has zeros, nulls and a note that says so. Raises RequestError."""
    basis, covered = source.basis(), period(source, request, _EXTENT)
    configuration = notes.configuration(request, basis, "tz", "interval")
    spine = None if covered is None or request.interval is None else covered.spine(request, request.interval)
    read = _read(source, covered)
    columns = tuple(measure.column for measure in MEASURES)
    total = measured(read).collect()
    sections = [Section("conferences", "Conferences", columns, total), _end_reasons(read)]
    if spine is not None and request.interval is not None:
        kind = Kind.DATE if request.interval.length is None else Kind.TIME
        when = Column("interval_start", request.interval.noun.capitalize(), kind, 1)
        until = Column("interval_end", "Until", kind, 9)
        title = f"By {request.interval.noun}"
        sections.append(Section("intervals", title, (when, until, *columns), _by_interval(read, spine)))
    return Report(
        name="conferences",
        title="Conferences",
        request=request,
        from_=None if covered is None else covered.from_,
        to=None if covered is None else covered.to,
        sections=tuple(sections),
        main="conferences" if spine is None else "intervals",
        headline=tuple(column for name in _HEADLINE for column in columns if column.name == name),
        definition={
            "duration": "ended_at - created_at, of conferences that have ended",
            "attribution": "a conference belongs to the half-open interval in which it was created",
            "peak": "most stays open at one moment, leaving before joining at equal instants",
        },
        notes=(
            *_notes(source, request, covered, spine),
            *notes.foundations(basis, configuration, MEASURE_DEFINITIONS, request.now),
        ),
        basis=basis,
        configuration=configuration,
        measure_definitions=MEASURE_DEFINITIONS,
    )


def _read(source: Source, covered: Period | None) -> pl.LazyFrame:
    rows = pl.from_arrow(source.db.sql(_READ, params=_bounds(covered)).to_arrow_table())
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 -- for the type checker: a table never becomes a series
    return rows.lazy()


def _bounds(covered: Period | None) -> dict[str, int]:
    return {"from": 0, "to": 0} if covered is None else {"from": covered.from_us, "to": covered.to_us}


def _end_reasons(read: pl.LazyFrame) -> Section:
    by = ["end_reason", "end_reason_source"]
    ended = read.filter(pl.sql_expr("status = 'completed'"))
    count = pl.len().cast(pl.Int64).alias("conferences")
    frame = ended.group_by(by).agg(count, pl.col("duration_ms").sum().alias("total_duration_ms"))
    columns = (
        Column("end_reason", "Ended because", Kind.TEXT, 1),
        Column("end_reason_source", "Says", Kind.TEXT, 3),
        Column("conferences", "Conferences", Kind.COUNT, 1),
        Column("total_duration_ms", "Total time", Kind.DURATION, 2),
    )
    ordered = frame.sort("conferences", *by, descending=[True, False, False], nulls_last=True).collect()
    return Section("end_reasons", "How they ended", columns, ordered)


def _by_interval(read: pl.LazyFrame, spine: Spine) -> pl.DataFrame:
    found = measured(read.with_columns(interval=spine.position("created_at")), ["interval"])
    sums = [measure.name for measure in MEASURES if measure.how == "sum"]
    every = spine.frame().lazy().join(found, on="interval", how="left")
    return every.with_columns(pl.col(sums).fill_null(0)).sort("interval").collect()


def _notes(source: Source, request: Request, covered: Period | None, spine: Spine | None) -> list[str]:
    ((timeless,),) = source.db.execute(_TIMELESS).fetchall()
    said = [*notes.covered(covered, request, "conferences", spine)]
    said.append("A conference counts in the interval in which it was created; one in progress has no duration yet.")
    if request.queues:
        said.append("A conference belongs to no queue: the choice of queues changes nothing here.")
    if timeless:
        said.append(f"{timeless} more conferences have no known beginning: they belong to no interval and no number.")
    return said
