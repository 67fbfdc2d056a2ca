"""The report `participants`: who was in which conference, how often and how long, and who held the floor."""

import polars as pl

from reports.catalogue.spec import ReportSpec
from reports.measures.definitions import ValueKind, digest
from reports.request import scope
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

LISTED = 30
_STAYS = ("conference_id", "call_leg_id", "duration_ms", "floor_ms")
FACTS = FactTable("participant_stays", "coalesce(joined_at, left_at)", {name: name for name in _STAYS})
_CONFERENCE = ("conference_id", "name", "duration_ms", "peak_participants", "participant_ms", "floor_changes")
_CONFERENCES = FactTable("conferences", "created_at", {name: name for name in _CONFERENCE})
_DURATION = ValueKind.DURATION
MEASURES = (
    FactMeasure("stays", "Stays", "sum", "conference_id is not null", "joins, a rejoin being one more", priority=1),
    FactMeasure("stay_ms", "Time", "sum", "duration_ms", "sum of the stays' duration_ms", _DURATION, 1),
    FactMeasure("mean_stay_ms", "Mean stay", "mean", "duration_ms", "mean of duration_ms", _DURATION, 2),
    FactMeasure("median_stay_ms", "Median stay", "median", "duration_ms", "nearest-rank median", _DURATION, 4),
    FactMeasure("longest_stay_ms", "Longest stay", "max", "duration_ms", "greatest duration_ms", _DURATION, 3),
    FactMeasure("floor_ms", "Floor", "sum", "floor_ms", "sum of floor_ms", _DURATION, 2),
    FactMeasure(
        "open_stays", "End unknown", "sum", "duration_ms is null", "stays of which an end is missing", priority=5
    ),
)
MEASURE_DEFINITIONS = digest(MEASURES)
_LEGS = Column("legs", "Legs", ValueKind.COUNT, 1, "different legs per conference, a rejoin being none")
_REJOINS = Column("rejoins", "Rejoins", ValueKind.COUNT, 2, "stays - legs")
_SHARE = Column("floor_share", "Floor share", ValueKind.RATE, 1, "floor_ms / sum of floor_ms of the conference")
_IDENTITY = (
    Column("conference_id", "Conference", ValueKind.TEXT, 1),
    Column("call_leg_id", "Leg", ValueKind.TEXT, 1),
)


def report(source: Source, request: Request) -> Report:
    """Return the report. Without stays it has zeros, nulls and a note that says so. Raises RequestError."""
    basis, covered = source.basis(), FACTS.period(source, request)
    by = dimensions.chosen(request, covered, own={}, report="participants", at="at")
    spine = None if covered is None or request.interval is None else covered.spine(request, request.interval)
    stays = FACTS.read(source, request, covered)
    conferences = _CONFERENCES.read(source, request, covered).collect()
    legs = _by_leg(stays)
    columns = tuple(measure.column for measure in MEASURES)
    total = facts.measured(stays, MEASURES).collect()
    counted = total.with_columns(
        legs=pl.lit(legs.height, dtype=pl.Int64),
        rejoins=pl.col("stays") - legs.height,
        peak=pl.lit(conferences["peak_participants"].max(), dtype=pl.Int64),
    )
    peak = Column("peak", "Peak", ValueKind.COUNT, 1, "most stays open at one moment, of any conference of the period")
    every = (columns[0], _LEGS, _REJOINS, peak, *columns[1:])
    sections = [
        Section(
            "participants",
            "All conferences" if not request.queues else f"Conferences of {scope.of(request)}",
            every,
            counted,
        ),
        *facts.over_time(stays, MEASURES, request, spine),
        _conferences(legs, conferences),
        Section("legs", "By participant", (*_IDENTITY, *columns, _REJOINS, _SHARE), legs, listed=LISTED),
    ]
    if by:
        sections.insert(0, facts.grouped("by", stays, MEASURES, by))
    return assembled(
        name="participants",
        title="Participants",
        what="stays",
        request=request,
        basis=basis,
        covered=covered,
        spine=spine,
        sections=sections,
        main="by" if by else "legs" if spine is None else "intervals",
        headline=[column for column in every if column.name in {"stays", "legs", "rejoins", "peak", "mean_stay_ms"}],
        definition={
            "stay": "one join of one leg, up to its next leave or the end of the conference",
            "floor_share": "floor_ms / sum of floor_ms of the conference",
            "attribution": "a stay belongs to the half-open interval in which the leg joined",
        },
        said=[
            "A stay counts in the interval in which the leg joined; one of which an end is missing has no time.",
            "Peaks are those of conferences created in the period.",
            *(["A stay belongs to a queue where its session visited it."] if request.queues else []),
        ],
        measures=MEASURE_DEFINITIONS,
    )


def _by_leg(stays: pl.LazyFrame) -> pl.DataFrame:
    """Return what each leg did in each conference, with its share of the floor there."""
    names = [column.name for column in _IDENTITY]
    found = facts.measured(stays, MEASURES, names)
    of_all = pl.col("floor_ms").sum().over("conference_id")
    share = pl.when(of_all > 0).then(pl.col("floor_ms") / of_all).alias("floor_share")
    return (
        found.with_columns(share, rejoins=pl.col("stays") - 1)
        .sort("stay_ms", *names, descending=[True, False, False], nulls_last=True)
        .collect()
    )


def _conferences(legs: pl.DataFrame, conferences: pl.DataFrame) -> Section:
    """Return each conference in which a stay began in the period."""
    of_legs = legs.group_by("conference_id").agg(
        pl.col("stays", "stay_ms", "floor_ms").sum(),
        legs=pl.len().cast(pl.Int64),
        rejoins=pl.col("rejoins").sum(),
        top_share=pl.col("floor_share").max(),
    )
    named = conferences.select("conference_id", "name", "peak_participants", "duration_ms")
    columns = (
        _IDENTITY[0],
        Column("name", "Name", ValueKind.TEXT, 2),
        Column("duration_ms", "Duration", _DURATION, 2, "ended_at - created_at"),
        Column("stays", "Stays", ValueKind.COUNT, 1, "joins, a rejoin being one more"),
        _LEGS,
        _REJOINS,
        Column("peak_participants", "Peak", ValueKind.COUNT, 1, "most stays open at one moment"),
        Column("stay_ms", "Time", _DURATION, 2, "sum of the stays' duration_ms"),
        Column("floor_ms", "Floor", _DURATION, 3, "sum of floor_ms"),
        Column("top_share", "Top speaker", ValueKind.RATE, 2, "greatest floor share"),
    )
    frame = of_legs.join(named, on="conference_id", how="left").sort(
        "stay_ms", "conference_id", descending=[True, False]
    )
    return Section("conferences", "By conference", columns, frame, listed=LISTED)


SPEC = ReportSpec(
    name="participants",
    summary="who was in which conference, how long, rejoins, share of the floor",
    run=report,
)
