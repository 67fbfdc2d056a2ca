"""The report `completeness`: how much of what must have been sent is known, per day, queue and type of event.

Also the score of each queue that other reports show beside their numbers.
"""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from reports import notes, wording
from reports.definitions import Kind, digest
from reports.errors import RequestError
from reports.report import Column, Report, RestsOn, Section
from reports.request import Request
from reports.source import Source
from reports.visits import Period, period

_EXTENT = """
select epoch_us(min(day::timestamp at time zone 'UTC')), epoch_us(max(day::timestamp at time zone 'UTC'))
from completeness
"""

_COUNTS = """
    sum(heard)::bigint as heard,
    sum(reconciled)::bigint as reconciled,
    sum(replayed)::bigint as replayed,
    sum(missing)::bigint as missing,
    sum(contradictions)::bigint as contradictions,
    sum(heard + reconciled + replayed) / nullif(sum(heard + reconciled + replayed + missing), 0) as score
"""
_WITHIN = """
    where day::timestamp at time zone 'UTC' >= make_timestamptz($from) - interval 23 hours
    and day::timestamp at time zone 'UTC' < make_timestamptz($to)
    and (len($queues::varchar[]) = 0 or queue is null or list_contains($queues::varchar[], queue))
"""
_DAYS = f"""
select strftime(day, '%Y-%m-%d') as day, {_COUNTS}, max(down_ms)::bigint as down_ms,
    max(checked_hours)::bigint as checked_hours, max(rests_on) as rests_on
from completeness {_WITHIN} group by day order by day
"""
_ROWS = f"""
select strftime(day, '%Y-%m-%d') as day, queue, event_type, {_COUNTS}
from completeness {_WITHIN} group by all order by day, queue nulls first, event_type
"""

SCORES = """
select
    queue,
    count(*) filter (enqueued_at_source = 'observed')
    + count(*) filter (reason is not null or position_out is not null or reported_wait_secs is not null) as known,
    count(*) + count(*) filter (
        outcome <> 'waiting' or reason is not null or position_out is not null or reported_wait_secs is not null
    ) as due
from queue_visits
where enqueued_at >= make_timestamptz($from) and enqueued_at < make_timestamptz($to)
group by queue
"""

_MEASURED = (
    Column("heard", "Heard", Kind.COUNT, 2, "events that a verified webhook told"),
    Column("reconciled", "Found", Kind.COUNT, 2, "events that only the reconciler found"),
    Column("replayed", "Replayed", Kind.COUNT, 6, "events that only a replay told"),
    Column("missing", "Missing", Kind.COUNT, 1, "events that another one, a record or a state proves, and nobody told"),
    Column("contradictions", "Contradictions", Kind.COUNT, 3, "what is told in two ways that cannot both be true"),
    Column("score", "Score", Kind.RATE, 1, "(heard + found + replayed) / (those + missing)"),
)
MEASURE_DEFINITIONS = digest(_COUNTS, SCORES)
RESTS_ON = RestsOn("queue_visits", "enqueued_at", ("queue", "outcome", "enqueued_at_source", "left_at"), by_queue=True)


def report(source: Source, request: Request) -> Report:
    """Return the report. Days are UTC's, whole ones; a period that begins within a day has all of it."""
    if source.as_of is not None:
        raise RequestError(
            "completeness is about what is known now: expected no --as-of; ask without it, or see `report diff`"
        )
    basis, covered = source.basis(), period(source, request, _EXTENT)
    configuration = notes.configuration(request, basis, "queues", "completeness_floor")
    days, rows = _read(source, request, covered, _DAYS), _read(source, request, covered, _ROWS)
    day = Column("day", "Day (UTC)", Kind.TEXT, 1)
    by_day = (
        day,
        *_MEASURED,
        Column("down_ms", "Ingest down", Kind.DURATION, 2, "time that no process was there to take webhooks"),
        Column("checked_hours", "Checked", Kind.COUNT, 3, "hours of the day of which a list of originals was read"),
        Column("rests_on", "Rests on", Kind.TEXT, 4),
    )
    by_type = (day, Column("queue", "Queue", Kind.TEXT, 2), Column("event_type", "Event", Kind.TEXT, 1), *_MEASURED)
    return Report(
        name="completeness",
        title="Completeness",
        request=request,
        from_=None if covered is None else covered.from_,
        to=None if covered is None else covered.to,
        sections=(
            Section("days", "By day", by_day, days),
            Section("events", "By day, queue and type of event", by_type, rows),
        ),
        main="events",
        headline=(),
        definition={
            "score": "known / (known + missing); what nothing speaks of is in neither",
            "floor": request.completeness_floor,
        },
        notes=(
            *notes.covered(covered, request, "events"),
            *_notes(days, request),
            *notes.foundations(basis, configuration, MEASURE_DEFINITIONS, request.now),
        ),
        basis=basis,
        configuration=configuration,
        measure_definitions=MEASURE_DEFINITIONS,
    )


def scores(source: Source, covered: Period | None) -> dict[str | None, tuple[int, int]]:
    """Of each queue's visits in the period: how many of their enqueues and dequeues are known, and how many are due."""
    if covered is None:
        return {}
    rows = source.db.execute(SCORES, {"from": covered.from_us, "to": covered.to_us}).fetchall()
    return {queue: (known, due) for queue, known, due in rows}


def beside(section: Section, column: Column, found: dict[str | None, tuple[int, int]], whole: float | None) -> Section:
    """Return the section, a table by queue, with the score of each queue, null where nothing is due, and of all."""
    queues = section.frame.get_column("queue").cast(pl.String).to_list()
    values = pl.Series(column.name, [_share(found.get(queue)) for queue in queues], dtype=pl.Float64)
    totals = section.totals
    return replace(
        section,
        columns=(*section.columns, column),
        frame=section.frame.with_columns(values),
        totals=None if totals is None else totals.with_columns(pl.lit(whole, pl.Float64).alias(column.name)),
    )


def below(sections: Sequence[Section], request: Request) -> list[str | None]:
    """Return the queues whose score is below the floor."""
    (table,) = (section.frame for section in sections if section.name == "queues")
    return table.filter(pl.col("completeness") < request.completeness_floor).get_column("queue").to_list()


def overall(found: dict[str | None, tuple[int, int]], queues: tuple[str, ...]) -> float | None:
    """Return the score of all queues that were asked for, together."""
    chosen = [both for queue, both in found.items() if not queues or queue in queues]
    return _share((sum(known for known, _ in chosen), sum(due for _, due in chosen)))


def sentences(score: float | None, below: list[str | None], floor: float) -> list[str]:
    """Return what a reader should know of the score, and which queues are below the floor."""
    if score is None:
        return []
    said = [
        f"Completeness {wording.percent(score)}: of the enqueues and dequeues that these visits prove, so many are "
        "known; calls of which nothing at all was heard are in no figure. See the report completeness."
    ]
    if below:
        named = ", ".join(wording.plain(queue or "calls of no queue") for queue in below)
        said.append(
            f"BELOW THE FLOOR of {wording.percent(floor)}: {named}. "
            "Their figures may be wrong; `holdtime reconcile` brings back what Telnyx still holds."
        )
    return said


def _share(both: tuple[int, int] | None) -> float | None:
    return both[0] / both[1] if both is not None and both[1] else None


def _read(source: Source, request: Request, covered: Period | None, query: str) -> pl.DataFrame:
    bounds = (0, 0) if covered is None else (covered.from_us, covered.to_us)
    values = {"from": bounds[0], "to": bounds[1], "queues": list(request.queues)}
    found = pl.from_arrow(source.db.sql(query, params=values).to_arrow_table())
    assert isinstance(found, pl.DataFrame)  # noqa: S101 -- for the type checker: a table never becomes a series
    return found


def _notes(days: pl.DataFrame, request: Request) -> list[str]:
    said = [
        "Missing is what an event, a record or a state proves to have been sent and nobody told. What nothing tells "
        "of is not in the score: only lists of original bodies, read for all hours of a day, say there is no more."
    ]
    low = days.filter(pl.col("score") < request.completeness_floor).get_column("day").to_list()
    if low:
        said.append(f"BELOW THE FLOOR of {wording.percent(request.completeness_floor)}: {', '.join(low)}.")
    unchecked = days.filter(pl.col("checked_hours") == 0).height
    if unchecked:
        said.append(f"{unchecked} of {days.height} days rest on webhooks alone: `holdtime reconcile` checks them.")
    return said
