"""The report `completeness`: how much of what must have been sent is known, per day, queue and type of event.

Also what other reports say of the score that they show beside their numbers.
"""

from dataclasses import replace

import polars as pl

from reports import humanize
from reports.catalogue.spec import ReportSpec
from reports.errors import RequestError
from reports.measures.definitions import ValueKind, digest
from reports.request import scope
from reports.request.request import Request
from reports.source import Source
from reports.tables import notes
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.visits import Period, period

_MOMENTS = """
select
    day::timestamp at time zone 'UTC' as began,
    day::timestamp at time zone 'UTC' as ended,
    heard + reconciled + replayed + missing as facts
from completeness
"""

_SCORE = "sum(heard + reconciled + replayed) / nullif(sum(heard + reconciled + replayed + missing), 0)"
_COUNTS = f"""
    sum(heard)::bigint as heard,
    sum(reconciled)::bigint as reconciled,
    sum(replayed)::bigint as replayed,
    sum(missing)::bigint as missing,
    sum(contradictions)::bigint as contradictions,
    sum(wait_differences)::bigint as wait_differences,
    sum(lone_dequeues)::bigint as lone_dequeues,
    sum(position_gaps)::bigint as position_gaps,
    sum(rivals)::bigint as rivals,
    {_SCORE} as score
"""
_WITHIN = """
    where day::timestamp at time zone 'UTC' >= make_timestamptz($from) - interval 23 hours
    and day::timestamp at time zone 'UTC' < make_timestamptz($to)
    and (len($queues::varchar[]) = 0 or queue is null or list_contains($queues::varchar[], queue))
"""
_DAYS = f"""
select strftime(day, '%Y-%m-%d') as day, {_COUNTS}, max(down_ms)::bigint as down_ms,
    min(checked_hours)::bigint as checked_hours, min_by(rests_on, len(rests_on)) as rests_on
from completeness {_WITHIN} group by day order by day
"""
_ROWS = f"""
select strftime(day, '%Y-%m-%d') as day, queue, event_type, {_COUNTS},
    max(checked_hours)::bigint as checked_hours, max(rests_on) as rests_on
from completeness {_WITHIN} group by all order by day, queue nulls first, event_type
"""

_MEASURED = (
    Column("heard", "Heard", ValueKind.COUNT, 2, "events that a verified webhook told"),
    Column("reconciled", "Found", ValueKind.COUNT, 2, "events that only the reconciler found"),
    Column("replayed", "Replayed", ValueKind.COUNT, 6, "events that only a replay told"),
    Column(
        "missing", "Missing", ValueKind.COUNT, 1, "events that another one, a record or a state proves, and nobody told"
    ),
    Column("contradictions", "Contradictions", ValueKind.COUNT, 3, "the four kinds that follow"),
    Column(
        "wait_differences",
        "Wait differs",
        ValueKind.COUNT,
        6,
        "waits that are not Telnyx's own seconds, by 2 s or more",
    ),
    Column("lone_dequeues", "Lone dequeues", ValueKind.COUNT, 6, "dequeues without an enqueue"),
    Column("position_gaps", "Position gaps", ValueKind.COUNT, 6, "places behind more people than can have been there"),
    Column("rivals", "Rivals", ValueKind.COUNT, 6, "events that do not count: another content of their id does"),
    Column("score", "Score", ValueKind.RATE, 1, "(heard + found + replayed) / (those + missing)"),
)
_RESTS_ON = (
    Column("checked_hours", "Checked", ValueKind.COUNT, 3, "hours of the day of which a list of originals was read"),
    Column("rests_on", "Rests on", ValueKind.TEXT, 4),
)
MEASURE_DEFINITIONS = digest(_COUNTS)


def report(source: Source, request: Request) -> Report:
    """Return the report. Days are UTC's, whole ones; a period that begins within a day has all of it."""
    if request.by or request.interval:
        raise RequestError(
            "completeness is by day in UTC, queue and type of event: expected neither --by nor --interval"
        )
    request = replace(request, tz="UTC")  # its days are
    basis, covered = source.basis(), period(source, request, _MOMENTS)
    configuration = notes.configuration(request, basis, "queues", "completeness_floor")
    days, rows = _read(source, request, covered, _DAYS), _read(source, request, covered, _ROWS)
    day = Column("day", "Day (UTC)", ValueKind.TEXT, 1)
    by_day = (
        day,
        *_MEASURED,
        Column("down_ms", "Ingest down", ValueKind.DURATION, 2, "time that no process was there to take webhooks"),
        *_RESTS_ON,
    )
    by_type = (
        day,
        Column("queue", "Queue", ValueKind.TEXT, 2),
        Column("event_type", "Event", ValueKind.TEXT, 1),
        *_MEASURED,
        *_RESTS_ON,
    )
    return Report(
        name="completeness",
        title=scope.titled("Completeness", request),
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


def of_days(source: Source, covered: Period, queues: tuple[str, ...]) -> float | None:
    """Return the score of all types of events on the days of a period, in UTC; null where nothing is due."""
    values = {"from": covered.from_us, "to": covered.to_us, "queues": list(queues)}
    ((score,),) = source.db.execute(f"select {_SCORE} from completeness {_WITHIN}", values).fetchall()
    return None if score is None else float(score)


def sentences(score: float | None, below: list[str | None], floor: float) -> list[str]:
    """Return what a reader should know of the score, and which queues are below the floor."""
    if score is None:
        return []
    said = [
        f"Completeness {humanize.percent(score)}: of the enqueues and dequeues that these visits prove, so many are "
        "known; calls of which nothing at all was heard are in no figure. See the report completeness."
    ]
    if below:
        named = ", ".join(humanize.name(queue or "calls of no queue") for queue in below)
        said.append(
            f"BELOW THE FLOOR of {humanize.percent(floor)}: {named}. "
            "Their figures may be wrong; `holdtime reconcile` brings back what Telnyx still holds."
        )
    return said


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
    if request.queues:
        said.append(f"Of {scope.of(request)}: enqueues and dequeues; other events name no queue, and all count.")
    low = days.filter(pl.col("score") < request.completeness_floor).get_column("day").to_list()
    if low:
        said.append(f"BELOW THE FLOOR of {humanize.percent(request.completeness_floor)}: {', '.join(low)}.")
    unchecked = days.filter(pl.col("checked_hours") == 0).height
    if unchecked:
        said.append(f"{unchecked} of {days.height} days rest on webhooks alone: `holdtime reconcile` checks them.")
    return said


SPEC = ReportSpec(
    name="completeness",
    summary="what was heard, found, is missing and contradicts itself, by day",
    run=report,
)
