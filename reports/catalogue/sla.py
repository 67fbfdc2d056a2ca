"""The report `sla`: service level, abandonment and waits, per queue and per interval."""

from collections.abc import Sequence

import polars as pl

from reports.calendar import intervals
from reports.catalogue import completeness, evidence
from reports.catalogue.spec import ReportSpec
from reports.measures import aggregation
from reports.measures.definitions import ValueKind, digest
from reports.measures.measures import (
    COMPLETENESS,
    OUTCOMES,
    VARIANTS,
    WAIT_EDGES_SECS,
    every_measure,
)
from reports.request import scope
from reports.request.request import Request
from reports.source import Source
from reports.tables import dimensions, policy_notes, visit_data
from reports.tables.assembly import of_visits
from reports.tables.dimensions import interval_columns
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.visit_data import VisitData
from reports.tables.visit_tables import AS_TEXT, OWN, QUEUE, Tables
from reports.tables.visits import Visits

MAX_CHART_POINTS = 200

_BELOW = Column("below_floor", "Below the floor", ValueKind.FLAG, 9, "completeness < completeness_floor")
# What people read, in the order in which they read it, and what goes first when there is no room.
_PRIORITIES = {
    "offered": 1,
    "answered": 3,
    "abandoned": 3,
    "timed_out": 4,
    "left": 4,
    "failed_bridge": 5,
    "unknown": 5,
    "waiting": 5,
    "short_abandoned": 6,
    "service_level": 1,
    "completeness": 2,
    "abandonment_rate": 2,
    "mean_wait_answered_ms": 2,
    "mean_wait_abandoned_ms": 5,
    "longest_wait_ms": 3,
    "wait_p50_ms": 4,
    "wait_p90_ms": 3,
    "wait_p95_ms": 6,
    "wait_p99_ms": 7,
}
MEASURE_DEFINITIONS = digest(every_measure(), COMPLETENESS, WAIT_EDGES_SECS)
HEADLINE = ("offered", "service_level", "completeness", "abandonment_rate", "mean_wait_answered_ms", "longest_wait_ms")


def columns(variant: str) -> tuple[Column, ...]:
    """Return every measure as a column: those that people read first, then those for machines."""
    of_name = {measure.name: measure for measure in every_measure(variant)}
    of_name |= {COMPLETENESS.name: COMPLETENESS}
    read_first = [Column.of(of_name[name], priority) for name, priority in _PRIORITIES.items()]
    variants = [Column.of(ratio, 8) for ratio in VARIANTS.values()]
    taken = {column.name for column in (*read_first, *variants)}
    return (
        *read_first,
        *variants,
        _BELOW,
        *(Column.of(measure) for name, measure in of_name.items() if name not in taken),
    )


def report(source: Source, request: Request) -> Report:
    """Return the report. Without visits it has zeros, nulls and a note that says so. Raises RequestError."""
    found = visit_data.read(source, request)
    covered, made = found.covered, found.tables
    by = dimensions.chosen(request, covered, own=OWN, report="sla")
    measured = columns(made.effective_request.variant)
    total = made.table([])
    sections = _sections(made, measured, total)
    if by:
        sections.insert(0, Section("by", dimensions.title(by), (*(d.column for d in by), *measured), made.grouped(by)))
    if covered is not None:
        if made.spine is None or len(made.spine) > MAX_CHART_POINTS:
            sections.append(trend(found, measured))
        sections += distributions(found.visits)
    sections.append(_variants(total, scope.whole(request)))
    sections += policy_notes.sections(made)
    return of_visits(
        found,
        total.row(0, named=True),
        name="sla",
        title="Service levels",
        sections=sections,
        main="by" if by else "queues" if made.spine is None else "queue_intervals",
        shown=measured,
        headline=HEADLINE,
        said=completeness.sentences(total["completeness"].item(), _below(sections), request.completeness_floor),
        measures=MEASURE_DEFINITIONS,
        charts=("service_level", "outcomes", "waits"),
    )


def _below(sections: Sequence[Section]) -> list[str | None]:
    """Return the queues whose completeness is below the floor, in some of their rows."""
    (table,) = (section.frame for section in sections if section.name == "queues")
    return table.filter(pl.col("below_floor")).get_column("queue").unique(maintain_order=True).to_list()


def _sections(made: Tables, measured: Sequence[Column], total: pl.DataFrame) -> list[Section]:
    labelled = total.with_columns(queue=pl.lit(scope.whole(made.request)))
    if keys := made.keys(["queue"]):
        empty = {"since": pl.lit(None, dtype=pl.Datetime("us", "UTC")), "variant": pl.lit(None, dtype=pl.String)}
        floats = {name: pl.lit(None, dtype=pl.Float64) for name in ("threshold_secs", "target")}
        labelled = labelled.with_columns(**empty, **floats)
    sections = [Section("queues", "By queue", (QUEUE, *keys, *measured), made.table(["queue"]), labelled)]
    length = made.request.interval
    if made.spine is not None and length is not None:
        when = interval_columns(length, made.spine, made.request.zone)
        by_interval, by_both = made.table(["interval"]), made.table(["queue", "interval"])
        both = (QUEUE, *when, *made.keys(["queue"]), *measured)
        sections += [
            Section("intervals", f"{scope.whole(made.request)} by {length.noun}", (*when, *measured), by_interval),
            Section("queue_intervals", f"By queue and {length.noun}", both, by_both, sparse="offered"),
        ]
    return sections


def trend(found: VisitData, measured: Sequence[Column]) -> Section:
    """Return all queues by an interval that a chart has room for."""
    assert found.covered is not None  # noqa: S101 -- for the type checker: without a period there is no trend
    length = intervals.fitting(found.covered.from_, found.covered.to)
    request = found.tables.request
    spine = found.covered.spine(request, length)
    frame = found.tables.over(spine).table(["interval"])
    title = f"{scope.whole(found.tables.request)} by {length.noun}"
    columns_ = (*interval_columns(length, spine, request.zone), *measured)
    return Section("trend", title, columns_, frame, aside=True)


def _variants(total: pl.DataFrame, whole: str) -> Section:
    """Return what each formula makes of all visits, for the trade does not agree on one."""
    row = total.row(0, named=True)
    columns_ = (
        Column("variant", "Service level variant", ValueKind.TEXT, 1),
        Column("service_level", whole, ValueKind.RATE, 1),
        Column("formula", "Formula", ValueKind.TEXT, 2),
        Column("worked", "In numbers", ValueKind.TEXT, 3),
    )
    rows = [(name, row[ratio.name], ratio.formula, ratio.worked(row)) for name, ratio in VARIANTS.items()]
    schema = {"variant": pl.String, "service_level": pl.Float64, "formula": pl.String, "worked": pl.String}
    return Section(
        "variants", "Service level, every variant", columns_, pl.DataFrame(rows, schema=schema, orient="row")
    )


def distributions(visits: Visits) -> list[Section]:
    """Return how long people waited, over all queues and by queue."""
    counts = [
        Column(o, o.replace("_", " ").capitalize(), ValueKind.COUNT, 2 if n < 2 else 6) for n, o in enumerate(OUTCOMES)
    ]
    both = (Column("wait", "Wait (s)", ValueKind.TEXT, 1), Column("visits", "Visits", ValueKind.COUNT, 1), *counts)
    by_queue = aggregation.wait_distribution(visits.frame, ["queue"]).with_columns(AS_TEXT).collect()
    summed = by_queue.group_by("wait", maintain_order=True).agg(pl.col("visits", *OUTCOMES).sum())
    overall = summed if by_queue.height else aggregation.wait_distribution(visits.frame).collect()
    return [
        Section("wait_distribution", "Waits", both, overall),
        Section("queue_wait_distribution", "Waits by queue", (QUEUE, *both), by_queue, aside=True),
    ]


SPEC = ReportSpec(
    name="sla",
    summary="service level, abandonment and waits, by queue and interval, in every variant",
    run=report,
    takes=frozenset({"hours", "explain"}),
    evidence=evidence.VISITS,
)
