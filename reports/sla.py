"""The report `sla`: service level, abandonment and waits, per queue and per interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from reports import completeness, intervals, notes, tallies, wording
from reports.definitions import Kind, digest
from reports.intervals import Interval, Spine
from reports.measures import OUTCOMES, VARIANTS, WAIT_EDGES_SECS, every_measure, service_level
from reports.report import Column, Report, RestsOn, Section
from reports.request import Request
from reports.source import Source
from reports.visits import Period, Visits, period, read

MOST_CHART_POINTS = 200

_QUEUE = Column("queue", "Queue", Kind.TEXT, 1)
_COMPLETENESS = Column(
    "completeness", "Complete", Kind.RATE, 2, "enqueues and dequeues known / those that the visits prove"
)
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
_SETTINGS = (
    *("tz", "interval", "queues", "threshold_secs", "short_abandon_secs", "target", "variant"),
    "completeness_floor",
)
_READ = ("queue", "outcome", "wait_ms", "left_at", "enqueued_at_source", "reason", "position_out", "reported_wait_secs")
RESTS_ON = RestsOn("queue_visits", "enqueued_at", _READ, by_queue=True)
MEASURE_DEFINITIONS = digest(every_measure(), WAIT_EDGES_SECS)
_HEADLINE = ("offered", "service_level", "abandonment_rate", "mean_wait_answered_ms", "longest_wait_ms")


def columns(variant: str) -> tuple[Column, ...]:
    """Return every measure as a column: those that people read first, then those for machines."""
    of_name = {measure.name: measure for measure in every_measure(variant)}
    read_first = [Column.of(of_name[name], priority) for name, priority in _PRIORITIES.items()]
    variants = [Column.of(ratio, 8) for ratio in VARIANTS.values()]
    taken = {column.name for column in (*read_first, *variants)}
    return (*read_first, *variants, *(Column.of(measure) for name, measure in of_name.items() if name not in taken))


# Queues are numbers while there are as many of them as visits, and texts once there is one a group.
_AS_TEXT = pl.selectors.categorical().cast(pl.String)


@dataclass(frozen=True, slots=True)
class _Tables:
    """Makes the tables of the report from one reading of the visits; the counts are taken once and rolled up."""

    request: Request
    visits: pl.LazyFrame
    finest: pl.LazyFrame
    spine: Spine | None

    def table(self, by: Sequence[str]) -> pl.DataFrame:
        """Return every measure for each group, a complete spine of groups when `by` has intervals."""
        tally = tallies.rolled_up(self.finest, by)
        waits = tallies.percentiles(self.visits, by).with_columns(_AS_TEXT)
        if by:
            tally = self._complete(tally, by).join(waits, on=list(by), how="left", nulls_equal=True)
        else:
            tally = pl.concat([tally, waits], how="horizontal")
        rated = tallies.with_rates(tally, self.request.variant)
        if self.spine is not None and "interval" in by:
            rated = rated.join(self.spine.frame().lazy(), on="interval", how="left")
        return rated.sort(list(by), nulls_last=True).collect() if by else rated.collect()

    def _complete(self, tally: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
        """Return the tally with a row of zeros for each queue asked for and each interval in which nobody came."""
        asked = pl.LazyFrame({"queue": self.request.queues}, schema={"queue": pl.String})
        groups = {"queue": pl.concat([self.finest.select("queue"), asked]).unique()}
        if self.spine is not None:
            groups["interval"] = self.spine.frame().lazy().select("interval")
        every = groups[by[0]]
        for name in by[1:]:
            every = every.join(groups[name], how="cross")
        sums = pl.selectors.exclude(*by, "longest_wait_ms")
        return every.join(tally, on=list(by), how="left", nulls_equal=True).with_columns(sums.fill_null(0))


def _tables(visits: Visits, request: Request, spine: Spine | None) -> _Tables:
    # Every table needs the interval; it is looked up once.
    frame = visits.frame if spine is None else visits.frame.with_columns(interval=spine.position()).collect().lazy()
    by = ["queue"] if spine is None else ["queue", "interval"]
    return _Tables(request, frame, tallies.tally(frame, by).with_columns(_AS_TEXT).collect().lazy(), spine)


def report(source: Source, request: Request) -> Report:
    """Return the report. Without visits it has zeros, nulls and a note that says so. Raises RequestError."""
    basis, covered = source.basis(), period(source, request)
    configuration = notes.configuration(request, basis, *_SETTINGS)
    visits = read(source, request, covered)
    spine = None if covered is None or request.interval is None else covered.spine(request, request.interval)
    tables = _tables(visits, request, spine)
    measured = columns(request.variant)
    total = tables.table([])
    labelled = total.with_columns(queue=pl.lit("All queues"))
    scores = completeness.scores(source, covered)
    score = completeness.overall(scores, request.queues)
    by_queue = completeness.with_scores(tables.table(["queue"]), scores)
    labelled = labelled.with_columns(completeness=pl.lit(score, pl.Float64))
    sections = [Section("queues", "By queue", (_QUEUE, *measured, _COMPLETENESS), by_queue, labelled)]
    low = by_queue.filter(pl.col("completeness") < request.completeness_floor).get_column("queue").to_list()
    if spine is not None and request.interval is not None:
        when = _interval_columns(request.interval)
        by_interval, by_both = tables.table(["interval"]), tables.table(["queue", "interval"])
        title = request.interval.noun
        sections += [
            Section("intervals", f"All queues by {title}", (*when, *measured), by_interval),
            Section("queue_intervals", f"By queue and {title}", (_QUEUE, *when, *measured), by_both, sparse="offered"),
        ]
    if covered is not None:
        if spine is None or len(spine) > MOST_CHART_POINTS:
            sections.append(_trend(visits, request, covered))
        sections += _distributions(visits)
    sections.append(_variants(total))
    return Report(
        name="sla",
        title="Service levels",
        request=request,
        from_=None if covered is None else covered.from_,
        to=None if covered is None else covered.to,
        sections=tuple(sections),
        main="queues" if spine is None else "queue_intervals",
        headline=tuple(column for name in _HEADLINE for column in measured if column.name == name),
        definition=_definition(request),
        notes=(
            *notes.covered(covered, request, "visits", spine),
            *_notes(request, visits, total.row(0, named=True)),
            *completeness.sentences(score, low, request.completeness_floor),
            *notes.foundations(basis, configuration, MEASURE_DEFINITIONS, request.now),
        ),
        basis=basis,
        configuration=configuration,
        measure_definitions=MEASURE_DEFINITIONS,
        charts=("service_level", "outcomes", "waits") if total["offered"].sum() else (),
    )


def _interval_columns(length: Interval) -> tuple[Column, Column]:
    kind = Kind.DATE if length.length is None else Kind.TIME
    return Column("interval_start", length.noun.capitalize(), kind, 1), Column("interval_end", "Until", kind, 9)


def _trend(visits: Visits, request: Request, covered: Period) -> Section:
    """Return all queues by an interval that a chart has room for."""
    length = intervals.fitting(covered.from_, covered.to)
    frame = _tables(visits, request, covered.spine(request, length)).table(["interval"])
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


def _distributions(visits: Visits) -> list[Section]:
    counts = [
        Column(o, o.replace("_", " ").capitalize(), Kind.COUNT, 2 if n < 2 else 6) for n, o in enumerate(OUTCOMES)
    ]
    both = (Column("wait", "Wait (s)", Kind.TEXT, 1), Column("visits", "Visits", Kind.COUNT, 1), *counts)
    by_queue = tallies.wait_distribution(visits.frame, ["queue"]).with_columns(_AS_TEXT).collect()
    summed = by_queue.group_by("wait", maintain_order=True).agg(pl.col("visits", *OUTCOMES).sum())
    overall = summed if by_queue.height else tallies.wait_distribution(visits.frame).collect()
    return [
        Section("wait_distribution", "Waits", both, overall),
        Section("queue_wait_distribution", "Waits by queue", (_QUEUE, *both), by_queue, aside=True),
    ]


def _definition(request: Request) -> dict[str, str | float | int]:
    return {
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


def _notes(request: Request, visits: Visits, total: dict[str, Any]) -> list[str]:
    level = service_level(request.variant)
    within, short = wording.seconds(request.threshold_secs), wording.seconds(request.short_abandon_secs)
    said = []
    if total["offered"] == 0:
        said.append("No visits began in this period: rates and waits are empty, not 0 and not 100 %.")
    said.append(
        f"Service level: {level.formula}, the variant {request.variant}, within {within} (wait <= {within}; "
        f"short abandons: wait < {short}), target {wording.target(request.target)}."
    )
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
