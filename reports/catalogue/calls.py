"""The report `calls`: legs, how long they rang, were talked and held, why they ended and what they cost."""

import polars as pl

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
    "direction",
    "status",
    "answered_at",
    "hangup_cause",
    "hangup_source",
    "machine_result",
    "ring_ms",
    "talk_ms",
    "holds",
    "hold_ms",
    "cost",
    "currency",
    "billed_secs",
)
# The cost in millionths, whole numbers that add up exactly.
FACTS = FactTable(
    "calls",
    "coalesce(initiated_at, answered_at, bridged_at, ended_at)",
    {
        **{name: name for name in _COLUMNS if name not in {"answered_at", "cost"}},
        "answered": "answered_at is not null",
        "cost_millionths": "cast(cost * 1000000 as bigint)",
    },
)
OWN = {
    name: Column(name, title, ValueKind.TEXT, 1)
    for name, title in (
        ("direction", "Direction"),
        ("status", "Status"),
        ("hangup_cause", "Hangup cause"),
        ("hangup_source", "Hung up by"),
        ("machine_result", "Machine detection"),
        ("currency", "Currency"),
    )
}
_DURATION = ValueKind.DURATION
MEASURES = (
    FactMeasure("calls", "Legs", "sum", "status is not null", "legs that began", priority=1),
    FactMeasure("answered", "Answered", "sum", "answered", "legs with an answer", priority=2),
    FactMeasure("answer_rate", "Answer rate", "share", "answered", "answered / calls", ValueKind.RATE, 3),
    FactMeasure("in_progress", "In progress", "sum", "status <> 'ended'", "legs of which no end was heard", priority=4),
    FactMeasure("mean_ring_ms", "Mean ring", "mean", "ring_ms", "mean of ring_ms", _DURATION, 3),
    FactMeasure("talked", "Talked", "sum", "talk_ms is not null", "legs that were bridged and have ended", priority=2),
    FactMeasure("total_talk_ms", "Talk", "sum", "talk_ms", "sum of talk_ms", _DURATION, 2),
    FactMeasure("mean_talk_ms", "Mean talk", "mean", "talk_ms", "mean of talk_ms", _DURATION, 1),
    FactMeasure("median_talk_ms", "Median talk", "median", "talk_ms", "nearest-rank median of talk_ms", _DURATION, 4),
    FactMeasure("talk_p90_ms", "Talk p90", "p90", "talk_ms", "nearest-rank 90th percentile of talk_ms", _DURATION, 4),
    FactMeasure("longest_talk_ms", "Longest talk", "max", "talk_ms", "greatest talk_ms", _DURATION, 4),
    FactMeasure("held", "Held", "sum", "holds > 0", "legs that were put on hold", priority=3),
    FactMeasure("holds", "Holds", "sum", "holds", "sum of holds", priority=5),
    FactMeasure("total_hold_ms", "Hold", "sum", "hold_ms", "sum of hold_ms", _DURATION, 3),
    FactMeasure("longest_hold_ms", "Longest hold", "max", "hold_ms", "greatest hold_ms of one leg", _DURATION, 6),
    FactMeasure("billed", "Billed", "sum", "cost_millionths is not null", "legs of which a cost is known", priority=5),
    FactMeasure("billed_secs", "Billed (s)", "sum", "billed_secs", "sum of billed_secs", priority=6),
)
MEASURE_DEFINITIONS = digest(MEASURES, FACTS.columns)
_HEADLINE = ("calls", "answer_rate", "mean_talk_ms", "total_talk_ms", "total_hold_ms")


def report(source: Source, request: Request) -> Report:
    """Return the report. Without calls it has zeros, nulls and a note that says so. Raises RequestError."""
    basis, covered = source.basis(), FACTS.period(source, request)
    by = dimensions.chosen(request, covered, own=OWN, report="calls", at="at")
    spine = None if covered is None or request.interval is None else covered.spine(request, request.interval)
    read = FACTS.read(source, request, covered)
    columns = tuple(measure.column for measure in MEASURES)
    total = facts.measured(read, MEASURES).collect().with_columns(direction=pl.lit("all"))
    directions = facts.grouped("directions", read, MEASURES, [dimensions.of_column(OWN["direction"])])
    sections = [
        Section("directions", "By direction", directions.columns, directions.frame, total),
        _causes(read),
        _costs(read),
        *facts.over_time(read, MEASURES, request, spine),
    ]
    if by:
        sections.insert(0, facts.grouped("by", read, MEASURES, by))
    timeless = FACTS.timeless(source)
    return assembled(
        name="calls",
        title="Calls",
        what="calls",
        request=request,
        basis=basis,
        covered=covered,
        spine=spine,
        sections=sections,
        main="by" if by else "directions" if spine is None else "intervals",
        headline=[column for name in _HEADLINE for column in columns if column.name == name],
        definition={
            "call": "a leg of which at least one call event was heard",
            "talk": "from the first bridge to the end, holds included",
            "attribution": "a leg belongs to the half-open interval in which it was initiated, or else first heard of",
        },
        said=[
            "A call is one leg: a caller and the agent who answers are two.",
            "Talk is from the first bridge to the end, holds included; hold is the sum of holds with both ends known.",
            *(["A call belongs to a queue where its session visited it."] if request.queues else []),
            *([f"{timeless} more calls have no known time: they belong to no interval."] if timeless else []),
        ],
        measures=MEASURE_DEFINITIONS,
    )


def _causes(read: pl.LazyFrame) -> Section:
    """Return why legs ended, the most usual cause first."""
    by = ["hangup_cause", "hangup_source"]
    ended = read.filter(pl.sql_expr("status = 'ended'"))
    found = facts.measured(ended, MEASURES, by).with_columns(share=pl.col("calls") / pl.col("calls").sum()).collect()
    measures = {measure.name: measure.column for measure in MEASURES}
    columns = (
        *(OWN[name] for name in by),
        measures["calls"],
        Column("share", "Share", ValueKind.RATE, 1, "calls / all that have ended"),
        measures["mean_talk_ms"],
        measures["total_talk_ms"],
    )
    ordered = found.sort("calls", *by, descending=[True, False, False], nulls_last=True)
    return Section("hangup_causes", "Why they ended", columns, ordered)


def _costs(read: pl.LazyFrame) -> Section:
    """Return what calls cost, one row a currency and direction: amounts of different currencies do not add up."""
    by = ["currency", "direction"]
    millionths = pl.col("cost_millionths")
    found = (
        read.filter(millionths.is_not_null())
        .group_by(by)
        .agg(
            billed=pl.len().cast(pl.Int64),
            cost=millionths.sum() / 1_000_000,
            mean_cost=millionths.mean() / 1_000_000,
            billed_secs=pl.col("billed_secs").cast(pl.Int64).sum(),
        )
        .sort(by, nulls_last=True)
        .collect()
    )
    columns = (
        *(OWN[name] for name in by),
        Column("billed", "Legs", ValueKind.COUNT, 1, "legs of which a cost is known"),
        Column("cost", "Cost", ValueKind.NUMBER, 1, "sum of cost"),
        Column("mean_cost", "Mean cost", ValueKind.NUMBER, 2, "mean of cost"),
        Column("billed_secs", "Billed (s)", ValueKind.COUNT, 3, "sum of billed_secs"),
    )
    return Section("costs", "What they cost", columns, found)


SPEC = ReportSpec(
    name="calls",
    summary="legs: ring, talk, hold, hangup causes, cost",
    run=report,
)
