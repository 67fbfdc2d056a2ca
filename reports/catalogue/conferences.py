"""The report `conferences`: how many, how long, how they ended and how full they were."""

import re
from collections.abc import Collection

import polars as pl

from reports.catalogue import evidence
from reports.catalogue.evidence import Evidence
from reports.catalogue.spec import ReportSpec
from reports.measures.definitions import ValueKind, digest
from reports.request.request import Request
from reports.source import Source
from reports.tables import dimensions, facts
from reports.tables.assembly import assembled
from reports.tables.facts import FactMeasure, FactTable
from reports.tables.report import (
    Column,
    Report,
    Section,
)

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
FACTS = FactTable("conferences", "created_at", {name: name for name in _COLUMNS})
OWN = {
    "status": Column("status", "Status", ValueKind.TEXT, 1),
    "end_reason": Column("end_reason", "Ended because", ValueKind.TEXT, 1),
    "end_reason_source": Column("end_reason_source", "Told by", ValueKind.TEXT, 1),
}

_DURATION = ValueKind.DURATION
MEASURES = (
    FactMeasure("conferences", "Conferences", "sum", "status is not null", "conferences created", priority=1),
    FactMeasure("completed", "Completed", "sum", "status = 'completed'", "conferences that have ended", priority=2),
    FactMeasure("in_progress", "In progress", "sum", "status = 'in_progress'", "conferences not ended", priority=3),
    FactMeasure("total_duration_ms", "Total time", "sum", "duration_ms", "sum of duration_ms", _DURATION, 2),
    FactMeasure("mean_duration_ms", "Mean", "mean", "duration_ms", "mean of duration_ms", _DURATION, 1),
    FactMeasure(
        "median_duration_ms", "Median", "median", "duration_ms", "nearest-rank median of duration_ms", _DURATION, 2
    ),
    FactMeasure("longest_duration_ms", "Longest", "max", "duration_ms", "greatest duration_ms", _DURATION, 2),
    FactMeasure(
        "peak_participants", "Peak", "max", "peak_participants", "most stays open at one moment, of any conference"
    ),
    FactMeasure(
        "mean_peak_participants", "Mean peak", "mean", "peak_participants", "mean of peak_participants", priority=9
    ),
    FactMeasure("stays", "Stays", "sum", "participants", "sum of stays, a rejoin being one more", priority=6),
    FactMeasure(
        "unique_participants", "Legs", "sum", "unique_participants", "sum of legs, a rejoin being none", priority=4
    ),
    FactMeasure("participant_ms", "Participant time", "sum", "participant_ms", "sum of the stays' time", _DURATION, 3),
    FactMeasure("floor_changes", "Floor changes", "sum", "floor_changes", "sum of floor changes", priority=5),
    FactMeasure("recordings", "Recordings", "sum", "recordings", "sum of recordings", priority=6),
)
MEASURE_DEFINITIONS = digest(MEASURES)
_HEADLINE = ("conferences", "in_progress", "mean_duration_ms", "longest_duration_ms", "peak_participants")


def report(source: Source, request: Request) -> Report:
    """Return the report. Without conferences it has zeros, nulls and a note that says so. Raises RequestError."""
    basis, covered = source.basis(), FACTS.period(source, request)
    by = dimensions.chosen(request, covered, own=OWN, report="conferences", at="at")
    spine = None if covered is None or request.interval is None else covered.spine(request, request.interval)
    read = FACTS.read(source, request, covered)
    columns = tuple(measure.column for measure in MEASURES)
    total = facts.measured(read, MEASURES).collect()
    sections = [Section("conferences", "Conferences", columns, total), end_reasons(read)]
    sections += facts.over_time(read, MEASURES, request, spine)
    if by:
        sections.append(facts.grouped("by", read, MEASURES, by))
    return assembled(
        name="conferences",
        title="Conferences",
        what="conferences",
        request=request,
        basis=basis,
        covered=covered,
        spine=spine,
        sections=sections,
        main="by" if by else "conferences" if spine is None else "intervals",
        headline=[column for name in _HEADLINE for column in columns if column.name == name],
        definition={
            "duration": "ended_at - created_at, of conferences that have ended",
            "attribution": "a conference belongs to the half-open interval in which it was created",
            "peak": "most stays open at one moment, leaving before joining at equal instants",
        },
        said=notes(FACTS.timeless(source), request),
        measures=MEASURE_DEFINITIONS,
    )


def end_reasons(read: pl.LazyFrame) -> Section:
    """Return how conferences ended, the most usual way first."""
    by = ["end_reason", "end_reason_source"]
    ended = read.filter(pl.sql_expr("status = 'completed'"))
    count = pl.len().cast(pl.Int64).alias("conferences")
    frame = ended.group_by(by).agg(count, pl.col("duration_ms").sum().alias("total_duration_ms"))
    columns = (
        *(OWN[name] for name in by),
        Column("conferences", "Conferences", ValueKind.COUNT, 1),
        Column("total_duration_ms", "Total time", ValueKind.DURATION, 2),
    )
    ordered = frame.sort("conferences", *by, descending=[True, False, False], nulls_last=True).collect()
    return Section("end_reasons", "How they ended", columns, ordered)


def notes(timeless: int, request: Request) -> list[str]:
    """Return what a reader should know about conferences and periods."""
    said = ["A conference counts in the interval in which it was created; one in progress has no duration yet."]
    if request.queues:
        said.append("A conference belongs to a queue where its session visited it.")
    if timeless:
        said.append(f"{timeless} more conferences have no known beginning: they belong to no interval and no number.")
    return said


def _added(measures: Collection[str], _: Request) -> list[pl.Expr]:
    return [pl.sql_expr(each.of) for each in MEASURES if each.name in measures]


_WHO = ("conference.participant.joined", "conference.participant.left", "conference.ended")
_HOW_LONG = ("conference.created", "conference.ended")
_TYPES_BY_COLUMN = {
    "status": _HOW_LONG,
    "duration_ms": _HOW_LONG,
    **dict.fromkeys(("participants", "unique_participants", "peak_participants", "participant_ms"), _WHO),
    "floor_changes": ("conference.floor.changed",),
    "recordings": ("conference.recording.saved",),
}


def _event_types(measures: Collection[str]) -> Collection[str]:
    """Return the types of events that the measures follow from, and that say when a conference began."""
    taken = [each.of for each in MEASURES if each.name in measures]
    columns = {name for name in _TYPES_BY_COLUMN for of in taken if re.search(rf"\b{name}\b", of)}
    return {"conference.created", *(each for name in columns for each in _TYPES_BY_COLUMN[name])}


_EVIDENCE = Evidence(
    facts=FactTable(FACTS.table, FACTS.moment, {**evidence.LIFE, **FACTS.columns}),
    adds=_added,
    event_types=_event_types,
    rests="epoch_us(event.occurred_at) >= fact.since",
)

SPEC = ReportSpec(
    name="conferences",
    summary="how many, how long, how they ended and how full they were",
    run=report,
    evidence=_EVIDENCE,
)
