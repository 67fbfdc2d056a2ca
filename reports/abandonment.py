"""The report `abandonment`: how many gave up, after how long, and whom to call back."""

from typing import Any

import polars as pl

from reports import agreed, dimensions, sla, visit_tables, wording
from reports.assembly import of_visits
from reports.definitions import Kind, digest
from reports.measures import ABANDONMENT, AGGREGATES, WAIT_EDGES_SECS, every_measure
from reports.report import Column, Report, Section
from reports.request import Request
from reports.source import Source
from reports.visit_tables import QUEUE, Reading, reading

MEASURE_DEFINITIONS = digest(every_measure(), WAIT_EDGES_SECS)
LISTED = 50
_COUNTS = {"offered": 1, "abandoned": 1, "short_abandoned": 2}
_HEADLINE = ("abandoned", "abandonment_rate", "abandonment_rate_adjusted", "short_abandoned", "mean_wait_abandoned_ms")
_BY_WAIT = (
    Column("wait", "Wait (s)", Kind.TEXT, 1),
    Column("waited", "Waited so long", Kind.COUNT, 2, "visits that waited at least the lower edge"),
    Column("abandoned", "Gave up here", Kind.COUNT, 1, "abandoned visits in the bucket"),
    Column("share", "Of all who gave up", Kind.RATE, 1, "abandoned / all abandoned"),
    Column("hazard", "Of those waiting", Kind.RATE, 1, "abandoned / waited"),
)
_CALLERS = (
    Column("from_number", "Caller", Kind.TEXT, 1),
    Column("to_number", "Called", Kind.TEXT, 4),
    QUEUE,
    Column("abandoned_at", "Gave up", Kind.TIME, 1),
    Column("wait_ms", "Waited", Kind.DURATION, 1),
    Column("times", "Times", Kind.COUNT, 2),
    Column("answered_since", "Answered since", Kind.FLAG, 1),
    Column("call_session_id", "Session", Kind.TEXT, 9),
)
# The last time that each number gave up, and whether a later visit of that number, to any queue, was answered.
_READ_CALLERS = """
with gave_up as (
    select
        from_number,
        count(*) as times,
        arg_max(to_number, enqueued_at) as to_number,
        arg_max(queue, enqueued_at) as queue,
        arg_max(wait_ms, enqueued_at) as wait_ms,
        arg_max(call_session_id, enqueued_at) as call_session_id,
        max(enqueued_at) as enqueued_at
    from queue_visits
    where outcome = 'abandoned'
    and enqueued_at >= make_timestamptz($from)
    and enqueued_at < make_timestamptz($to)
    and from_number is not null
    and (len($queues) = 0 or list_contains($queues::varchar[], queue))
    group by from_number
),
answered as (
    select from_number, max(enqueued_at) as enqueued_at
    from queue_visits
    where outcome = 'answered'
    and enqueued_at >= make_timestamptz($from)
    group by from_number
)
select
    from_number,
    to_number,
    queue,
    (epoch_us(gave_up.enqueued_at) // 1000 + wait_ms) * 1000 as abandoned_at,
    wait_ms,
    times,
    coalesce(answered.enqueued_at > gave_up.enqueued_at, false) as answered_since,
    call_session_id
from gave_up
left join answered using (from_number)
order by answered_since, abandoned_at desc, from_number
"""
_NAMELESS = """
select count(*)
from queue_visits
where outcome = 'abandoned'
and enqueued_at >= make_timestamptz($from)
and enqueued_at < make_timestamptz($to)
and from_number is null
and (len($queues) = 0 or list_contains($queues::varchar[], queue))
"""


def columns() -> tuple[Column, ...]:
    """Return the counts and rates of abandonment, and how long those who gave up had waited."""
    counts = [Column.of(measure, _COUNTS[measure.name]) for measure in AGGREGATES if measure.name in _COUNTS]
    rates = [Column.of(ratio, 1) for ratio in ABANDONMENT]
    mean = next(measure for measure in every_measure() if measure.name == "mean_wait_abandoned_ms")
    return (*counts, *rates, Column.of(mean, 2))


def report(source: Source, request: Request) -> Report:
    """Return the report. Without visits it has zeros, nulls and a note that says so. Raises RequestError."""
    found = reading(source, request)
    made, shown = found.tables, columns()
    by = dimensions.chosen(request, found.covered, own=visit_tables.OWN, report="abandonment")
    total = made.table([]).row(0, named=True)
    callers, nameless = _callers(source, found, request)
    sections = [*visit_tables.sections(found, by, shown), _by_wait(found), callers]
    sections += agreed.sections(made)
    return of_visits(
        found,
        total,
        name="abandonment",
        title="Abandonment",
        sections=sections,
        shown=shown,
        headline=_HEADLINE,
        leading=False,
        said=[
            "Callers are listed once, by the last time they gave up; `Answered since` is a later answered visit of "
            "that number, to whatever queue, up to the end of the data.",
            *(["Callers are those of all hours."] if request.hours else []),
            *([f"{wording.number(nameless)} visits were abandoned by callers of unknown number."] if nameless else []),
        ],
        measures=MEASURE_DEFINITIONS,
        charts=("abandonment",) if total["abandoned"] else (),
    )


def _by_wait(found: Reading) -> Section:
    """Return when people give up: of all who did, and of those who were still waiting at the time."""
    overall = next(each for each in sla.distributions(found.visits) if each.name == "wait_distribution").frame
    waited = pl.col("visits").cum_sum(reverse=True)
    gave_up = pl.col("abandoned")
    frame = overall.select(
        "wait",
        waited.alias("waited"),
        gave_up,
        pl.when(gave_up.sum() > 0).then(gave_up / gave_up.sum()).alias("share"),
        pl.when(waited > 0).then(gave_up / waited).alias("hazard"),
    )
    return Section("by_wait", "After how long they gave up", _BY_WAIT, frame)


def _callers(source: Source, found: Reading, request: Request) -> tuple[Section, int]:
    """Return whom to call back, those nobody has spoken to since first, and how many have no number."""
    covered = found.covered
    values: dict[str, Any] = {
        "from": covered.from_us if covered else 0,
        "to": covered.to_us if covered else 0,
        "queues": list(request.queues),
    }
    rows = pl.from_arrow(source.db.sql(_READ_CALLERS, params=values).to_arrow_table())
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 -- for the type checker: a table never becomes a series
    at = pl.from_epoch("abandoned_at", time_unit="us").dt.replace_time_zone("UTC")
    ((nameless,),) = source.db.execute(_NAMELESS, values).fetchall()
    return Section("callers", "Whom to call back", _CALLERS, rows.with_columns(at), listed=LISTED), int(nameless)
