"""The report `sla`: service level, abandonment and waits, per queue and per interval."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from reports import agreed, dimensions, intervals, notes, tallies, wording
from reports.definitions import Kind, digest
from reports.intervals import Interval
from reports.measures import OUTCOMES, VARIANTS, WAIT_EDGES_SECS, every_measure, service_level
from reports.report import Column, Report, RestsOn, Section
from reports.request import Request
from reports.source import Source
from reports.visit_tables import AS_TEXT, QUEUE, Tables, tables
from reports.visits import Period, Visits, period, read

MOST_CHART_POINTS = 200

OWN = {"queue": QUEUE}
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
    "abandonment_rate": 2,
    "mean_wait_answered_ms": 2,
    "mean_wait_abandoned_ms": 5,
    "longest_wait_ms": 3,
    "wait_p50_ms": 4,
    "wait_p90_ms": 3,
    "wait_p95_ms": 6,
    "wait_p99_ms": 7,
}
_SETTINGS = ("tz", "interval", "queues", "threshold_secs", "short_abandon_secs", "target", "variant")
RESTS_ON = RestsOn(
    "queue_visits", "enqueued_at", ("queue", "outcome", "wait_ms", "left_at", "enqueued_at_source"), by_queue=True
)
MEASURE_DEFINITIONS = digest(every_measure(), WAIT_EDGES_SECS)
_HEADLINE = ("offered", "service_level", "abandonment_rate", "mean_wait_answered_ms", "longest_wait_ms")


def columns(variant: str) -> tuple[Column, ...]:
    """Return every measure as a column: those that people read first, then those for machines."""
    of_name = {measure.name: measure for measure in every_measure(variant)}
    read_first = [Column.of(of_name[name], priority) for name, priority in _PRIORITIES.items()]
    variants = [Column.of(ratio, 8) for ratio in VARIANTS.values()]
    taken = {column.name for column in (*read_first, *variants)}
    return (*read_first, *variants, *(Column.of(measure) for name, measure in of_name.items() if name not in taken))


def report(source: Source, request: Request) -> Report:
    """Return the report. Without visits it has zeros, nulls and a note that says so. Raises RequestError."""
    basis, covered = source.basis(), period(source, request)
    by = dimensions.chosen(request, covered, own=OWN, report="sla")
    configuration = notes.configuration(request, basis, *_SETTINGS)
    visits = read(source, request, covered)
    spine = None if covered is None or request.interval is None else covered.spine(request, request.interval)
    made = tables(visits, request, covered, spine)
    told = made.told
    measured = columns(told.variant)
    total = made.table([])
    sections = _sections(made, measured, total)
    if by:
        sections.insert(0, Section("by", dimensions.title(by), (*(d.column for d in by), *measured), made.grouped(by)))
    if covered is not None:
        if spine is None or len(spine) > MOST_CHART_POINTS:
            sections.append(_trend(visits, request, covered))
        sections += distributions(visits)
    sections.append(_variants(total))
    if made.agreed:
        sections.append(agreed.section(made.held))
    if request.explain:
        sections.append(agreed.explained(made))
    return Report(
        name="sla",
        title="Service levels",
        request=told,
        from_=None if covered is None else covered.from_,
        to=None if covered is None else covered.to,
        sections=tuple(sections),
        main="by" if by else "queues" if spine is None else "queue_intervals",
        headline=tuple(column for name in _HEADLINE for column in measured if column.name == name),
        definition=_definition(told, made),
        notes=(
            *notes.covered(covered, request, "visits", spine),
            *_notes(made, visits, total.row(0, named=True)),
            *notes.foundations(basis, configuration, MEASURE_DEFINITIONS, request.now),
        ),
        basis=basis,
        configuration=configuration,
        measure_definitions=MEASURE_DEFINITIONS,
        charts=("service_level", "outcomes", "waits") if total["offered"].sum() else (),
    )


def _sections(made: Tables, measured: Sequence[Column], total: pl.DataFrame) -> list[Section]:
    labelled = total.with_columns(queue=pl.lit("All queues"))
    if keys := made.keys(["queue"]):
        empty = {"since": pl.lit(None, dtype=pl.Datetime("us", "UTC")), "variant": pl.lit(None, dtype=pl.String)}
        floats = {name: pl.lit(None, dtype=pl.Float64) for name in ("threshold_secs", "target")}
        labelled = labelled.with_columns(**empty, **floats)
    sections = [Section("queues", "By queue", (QUEUE, *keys, *measured), made.table(["queue"]), labelled)]
    length = made.request.interval
    if made.spine is not None and length is not None:
        when = _interval_columns(length)
        by_interval, by_both = made.table(["interval"]), made.table(["queue", "interval"])
        both = (QUEUE, *when, *made.keys(["queue"]), *measured)
        sections += [
            Section("intervals", f"All queues by {length.noun}", (*when, *measured), by_interval),
            Section("queue_intervals", f"By queue and {length.noun}", both, by_both, sparse="offered"),
        ]
    return sections


def _interval_columns(length: Interval) -> tuple[Column, Column]:
    kind = Kind.DATE if length.length is None else Kind.TIME
    return Column("interval_start", length.noun.capitalize(), kind, 1), Column("interval_end", "Until", kind, 9)


def _trend(visits: Visits, request: Request, covered: Period) -> Section:
    """Return all queues by an interval that a chart has room for."""
    length = intervals.fitting(covered.from_, covered.to)
    frame = tables(visits, request, covered, covered.spine(request, length)).table(["interval"])
    columns_ = (*_interval_columns(length), *columns(request.variant))
    return Section("trend", f"All queues by {length.noun}", columns_, frame, aside=True)


def _variants(total: pl.DataFrame) -> Section:
    """Return what each formula makes of all queues, for the trade does not agree on one."""
    row = total.row(0, named=True)
    columns_ = (
        Column("variant", "Service level variant", Kind.TEXT, 1),
        Column("service_level", "All queues", Kind.RATE, 1),
        Column("formula", "Formula", Kind.TEXT, 2),
        Column("worked", "In numbers", Kind.TEXT, 3),
    )
    rows = [(name, row[ratio.name], ratio.formula, ratio.worked(row)) for name, ratio in VARIANTS.items()]
    schema = {"variant": pl.String, "service_level": pl.Float64, "formula": pl.String, "worked": pl.String}
    return Section(
        "variants", "Service level, every variant", columns_, pl.DataFrame(rows, schema=schema, orient="row")
    )


def distributions(visits: Visits) -> list[Section]:
    counts = [
        Column(o, o.replace("_", " ").capitalize(), Kind.COUNT, 2 if n < 2 else 6) for n, o in enumerate(OUTCOMES)
    ]
    """Return how long people waited, over all queues and by queue."""
    both = (Column("wait", "Wait (s)", Kind.TEXT, 1), Column("visits", "Visits", Kind.COUNT, 1), *counts)
    by_queue = tallies.wait_distribution(visits.frame, ["queue"]).with_columns(AS_TEXT).collect()
    summed = by_queue.group_by("wait", maintain_order=True).agg(pl.col("visits", *OUTCOMES).sum())
    overall = summed if by_queue.height else tallies.wait_distribution(visits.frame).collect()
    return [
        Section("wait_distribution", "Waits", both, overall),
        Section("queue_wait_distribution", "Waits by queue", (QUEUE, *both), by_queue, aside=True),
    ]


def _definition(request: Request, made: Tables) -> dict[str, str | float | int]:
    """Return what was decided; where it is not one thing for all queues, what holds for those not named is said."""
    return {
        "held": "by queue and date" if len(made.held) > 1 else "one for all",
        "service_level_variant": request.variant,
        "service_level_formula": service_level(request.variant).formula,
        "threshold_secs": request.threshold_secs,
        "threshold_rule": "wait <= threshold",
        "short_abandon_secs": request.short_abandon_secs,
        "short_abandon_rule": "wait < short-abandon threshold",
        "target": request.target,
        "attribution": "a visit belongs to the half-open interval in which it was enqueued",
        "percentiles": "nearest rank",
        "wait_buckets_secs": ", ".join(str(edge) for edge in WAIT_EDGES_SECS) + "; lower edge included, upper not",
    }


def _notes(made: Tables, visits: Visits, total: dict[str, Any]) -> list[str]:
    request = made.told
    level = service_level(request.variant)
    within, short = wording.seconds(request.threshold_secs), wording.seconds(request.short_abandon_secs)
    said = []
    if total["offered"] == 0:
        said.append("No visits began in this period: rates and waits are empty, not 0 and not 100 %.")
    if len(made.held) == 1:
        said.append(
            f"Service level: {level.formula}, the variant {request.variant}, within {within} (wait <= {within}; "
            f"short abandons: wait < {short}), target {wording.target(request.target)}."
        )
    else:
        said.append(f"Service level of several queues together: {level.formula}, the variant {request.variant}.")
    said += agreed.notes(made)
    if total[level.name] is not None:
        said.append(f"All queues: {level.worked(total)} = {wording.percent(total[level.name])}.")
    said.append("A visit counts in the interval in which it was enqueued. Percentiles are nearest rank.")
    said += [sentence for count, sentence in _reservations(visits, total) if count]
    return said


def _reservations(visits: Visits, total: dict[str, Any]) -> list[tuple[int, str]]:
    """Return what a reader should know about the visits, each with the number of visits that it holds for."""
    return [
        (count, f"{wording.number(count)} {words}")
        for count, words in (
            (total["waiting"], "visits are still waiting: they are in no rate yet, and the numbers will change."),
            (total["unknown"], "visits ended in a way that nobody heard of (unknown): offered, with no wait."),
            (
                visits.reported,
                "visits have a beginning worked out from the wait that Telnyx reported, in whole seconds.",
            ),
            (visits.timeless, "more visits have no known beginning: they belong to no interval and are in no number."),
        )
    ]
