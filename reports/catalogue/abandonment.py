"""The report `abandonment`: how many gave up, after how long, and whom to call back."""

from typing import Any

import polars as pl

from reports import humanize
from reports.catalogue import evidence, sla
from reports.catalogue.spec import ReportSpec
from reports.measures.definitions import ValueKind, digest
from reports.measures.measures import (
    ABANDONMENT,
    AGGREGATES,
    WAIT_EDGES_SECS,
    every_measure,
)
from reports.request.request import Request
from reports.source import Source
from reports.tables import (
    dimensions,
    policy_notes,
    visit_data,
    visit_tables,
)
from reports.tables.assembly import of_visits
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.visit_data import VisitData
from reports.tables.visit_tables import QUEUE
from warehouse.scripts import CALLERS

LISTED = 50
_COUNTS = {"offered": 1, "abandoned": 1, "short_abandoned": 2}
_HEADLINE = ("abandoned", "abandonment_rate", "abandonment_rate_adjusted", "short_abandoned", "mean_wait_abandoned_ms")
_BY_WAIT = (
    Column("wait", "Wait (s)", ValueKind.TEXT, 1),
    Column("waited", "Waited so long", ValueKind.COUNT, 2, "visits that waited at least the lower edge"),
    Column("abandoned", "Gave up here", ValueKind.COUNT, 1, "abandoned visits in the bucket"),
    Column("share", "Of all who gave up", ValueKind.RATE, 1, "abandoned / all abandoned"),
    Column("hazard", "Of those waiting", ValueKind.RATE, 1, "abandoned / waited"),
)
_CALLERS = (
    Column("from_number", "Caller", ValueKind.TEXT, 1),
    Column("to_number", "Called", ValueKind.TEXT, 4),
    QUEUE,
    Column("abandoned_at", "Gave up", ValueKind.TIME, 1),
    Column("wait_ms", "Waited", ValueKind.DURATION, 1),
    Column("times", "Times", ValueKind.COUNT, 2),
    Column("answered_since", "Answered since", ValueKind.FLAG, 1),
    Column("call_session_id", "Session", ValueKind.TEXT, 9),
)
# Who gave up in a period: of an outgoing leg that was put into a queue, whom it had called.
_GAVE_UP = f"""
with abandoned as (
    select *
    from queue_visits
    where outcome = 'abandoned'
    and coalesce(enqueued_at, left_at) >= make_timestamptz($from)
    and coalesce(enqueued_at, left_at) < make_timestamptz($to)
    and (len($queues) = 0 or list_contains($queues::varchar[], queue))
),
called as (
    select distinct call_leg_id
    from calls
    where direction = 'outgoing'
    and call_leg_id in (select call_leg_id from abandoned)
),
spellings as (
    select
        visit_id,
        case when called.call_leg_id is null then from_number else to_number end as spelling,
        case when called.call_leg_id is null then to_number else from_number end as to_number,
        queue,
        call_session_id,
        wait_ms,
        -- of those of whom nobody said when they came, when they had left
        coalesce(epoch_us(enqueued_at) // 1000 + wait_ms, epoch_us(left_at) // 1000) as gave_up_ms
    from abandoned
    left join called using (call_leg_id)
),
{CALLERS}
from callers
"""
# When people were spoken to: by whoever answered them, in whatever queue, or on a leg to their number. A bridge without
# a dequeue is such a moment, too.
_SPOKEN_TO = f"""
with spellings as (
    select from_number as spelling, epoch_us(coalesce(left_at, left_at_latest)) // 1000 as spoken_ms
    from queue_visits
    where outcome = 'answered'
    and coalesce(left_at, left_at_latest) >= make_timestamptz($from)
    union all
    select to_number, epoch_us(answered_at) // 1000
    from calls
    where direction = 'outgoing'
    and answered_at >= make_timestamptz($from)
),
{CALLERS}
from callers
"""
# The last time that each person gave up, and whether they were spoken to after that.
_READ_CALLERS = f"""
with people as (
    select *, count(*) over (partition by caller) as times
    from ({_GAVE_UP})
    where caller is not null
    qualify row_number() over (partition by caller order by gave_up_ms desc, visit_id) = 1
),
answered as (
    select caller, max(spoken_ms) as spoken_ms
    from ({_SPOKEN_TO})
    where caller in (select caller from people)
    group by caller
)
select
    spelling as from_number,
    to_number,
    queue,
    gave_up_ms * 1000 as abandoned_at,
    wait_ms,
    times,
    coalesce(spoken_ms > gave_up_ms, false) as answered_since,
    call_session_id
from people
left join answered using (caller)
order by answered_since, abandoned_at desc, caller
"""
# How many visits were abandoned by nobody who can be called, and of how many no number was told at all.
_NAMELESS = f"""
select count(*), count(*) filter (coalesce(trim(spelling), '') = '')
from ({_GAVE_UP})
where caller is null
"""
MEASURE_DEFINITIONS = digest(every_measure(), WAIT_EDGES_SECS, _READ_CALLERS)


def columns() -> tuple[Column, ...]:
    """Return the counts and rates of abandonment, and how long those who gave up had waited."""
    counts = [Column.of(measure, _COUNTS[measure.name]) for measure in AGGREGATES if measure.name in _COUNTS]
    rates = [Column.of(ratio, 1) for ratio in ABANDONMENT]
    mean = next(measure for measure in every_measure() if measure.name == "mean_wait_abandoned_ms")
    return (*counts, *rates, Column.of(mean, 2))


def report(source: Source, request: Request) -> Report:
    """Return the report. Without visits it has zeros, nulls and a note that says so. Raises RequestError."""
    found = visit_data.read(source, request)
    made, shown = found.tables, columns()
    by = dimensions.chosen(request, found.covered, own=visit_tables.OWN, report="abandonment")
    total = made.table([]).row(0, named=True)
    callers = _callers(source, found, request)
    sections = [*visit_data.sections(found, by, shown), _by_wait(found), callers]
    sections += policy_notes.sections(made)
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
            "Callers are listed once, by the last time that they gave up. `Answered since`: after that moment a visit "
            "of theirs to whatever queue was answered, or an outgoing call to them was, up to the end of the data.",
            *(["Callers are those of all hours."] if request.hours else []),
            *_nameless(source, found, request),
        ],
        measures=MEASURE_DEFINITIONS,
        charts=("abandonment",) if total["abandoned"] else (),
    )


def _by_wait(found: VisitData) -> Section:
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


def _callers(source: Source, found: VisitData, request: Request) -> Section:
    """Return the callers to call back; those who have not been spoken to since come first."""
    rows = pl.from_arrow(source.db.sql(_READ_CALLERS, params=_asked(found, request)).to_arrow_table())
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 -- for the type checker: a table never becomes a series
    at = pl.from_epoch("abandoned_at", time_unit="us").dt.replace_time_zone("UTC")
    return Section("callers", "Whom to call back", _CALLERS, rows.with_columns(at), listed=LISTED)


def _nameless(source: Source, found: VisitData, request: Request) -> list[str]:
    """Return the sentence about visits of callers who cannot be called back; none where there are none."""
    ((every, untold),) = source.db.execute(_NAMELESS, _asked(found, request)).fetchall()
    if not every:
        return []
    return [
        f"{humanize.number(every)} visits were abandoned by callers of unknown number, and are in no row: "
        f"{humanize.number(untold)} told none, {humanize.number(every - untold)} one that nobody can call (withheld, "
        "anonymous, restricted, unknown, and the like)."
    ]


def _asked(found: VisitData, request: Request) -> dict[str, Any]:
    covered = found.covered
    return {
        "from": covered.from_us if covered else 0,
        "to": covered.to_us if covered else 0,
        "queues": list(request.queues),
    }


SPEC = ReportSpec(
    name="abandonment",
    summary="how many gave up, after how long, and whom to call back",
    run=report,
    takes=frozenset({"hours", "explain"}),
    evidence=evidence.VISITS,
)
