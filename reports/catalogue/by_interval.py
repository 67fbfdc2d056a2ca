"""The report `intervals`: visits over time, by when they began, by when things happened, by who was waiting when."""

import polars as pl

from reports.calendar import intervals
from reports.calendar.intervals import (
    LENGTH_MS,
    Interval,
    Spine,
)
from reports.catalogue import sla
from reports.catalogue.spec import ReportSpec
from reports.measures.definitions import ValueKind, digest
from reports.measures.measures import (
    OUTCOMES,
    WAIT_EDGES_SECS,
    every_measure,
)
from reports.request.request import Request
from reports.source import Source
from reports.tables import dimensions, occupancy, visit_data
from reports.tables.assembly import of_visits
from reports.tables.dimensions import interval_columns
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.visit_data import VisitData
from reports.tables.visit_tables import OWN, QUEUE

_HAPPENED = (
    Column("began", "Began", ValueKind.COUNT, 1, "visits enqueued in the interval"),
    *(
        Column(o, o.replace("_", " ").capitalize(), ValueKind.COUNT, priority, f"visits {meaning} in it")
        for o, priority, meaning in (
            *((o, 2, f"that ended as {o}") for o in OUTCOMES[:5]),
            ("unknown", 4, "enqueued of which nobody knows how they ended"),
            ("waiting", 4, "enqueued that are waiting still"),
        )
    ),
    Column("waited_ms", "Waited", ValueKind.DURATION, 1, "time of waiting that lies in the interval"),
    Column("mean_waiting", "Waiting", ValueKind.NUMBER, 1, "waited_ms / length of the interval"),
)
MEASURE_DEFINITIONS = digest(every_measure(), WAIT_EDGES_SECS, _HAPPENED)


def report(source: Source, request: Request) -> Report:
    """Return the report, by half hours unless asked otherwise. Raises RequestError."""
    request = request.cut(Interval.HALF_HOUR)
    found = visit_data.read(source, request)
    made = found.tables
    by = dimensions.chosen(request, found.covered, own=OWN, report="intervals")
    measured = sla.columns(made.effective_request.variant)
    total = made.table([])
    length = made.request.interval or Interval.HALF_HOUR
    when = interval_columns(length, made.spine, request.zone)
    sections = []
    if made.spine is not None:
        by_interval, by_both = made.table(["interval"]), made.table(["queue", "interval"])
        both = (QUEUE, *when, *made.keys(["queue"]), *measured)
        sections += [
            Section("intervals", f"By {length.noun} of enqueueing", (*when, *measured), by_interval),
            Section("queue_intervals", f"By queue and {length.noun}", both, by_both, sparse="offered"),
            happened(source, found, made.spine),
        ]
        if len(made.spine) > sla.MAX_CHART_POINTS:
            sections.append(sla.trend(found, measured))
    else:
        empty = total.clear().with_columns(interval_start=None, interval_end=None)
        sections.append(Section("intervals", f"By {length.noun}", (*when, *measured), empty))
    main = "queue_intervals" if request.by == ("queue",) and made.spine is not None else "intervals"
    if by and request.by != ("queue",):
        main = "by"
        columns = (*(each.column for each in by), *measured)
        sections.insert(0, Section("by", dimensions.title(by), columns, made.grouped(by)))
    return of_visits(
        found,
        total.row(0, named=True),
        name="intervals",
        title=f"Visits by {length.noun}",
        sections=sections,
        main=main,
        definition={
            "event_time": "an outcome counts in the interval in which the waiting ended; where nobody said when that "
            "was, in that of the enqueueing",
            "clipped": "waiting counts where it fell: sum of depth over time",
        },
        said=[
            "`What happened when` counts an outcome in the interval in which it happened, also of visits without a "
            "known beginning, and waiting where it fell: these are other views, and their rows do not add up to the "
            "visits of an interval."
        ],
        measures=MEASURE_DEFINITIONS,
        charts=("service_level", "outcomes"),
    )


def happened(source: Source, found: VisitData, spine: Spine) -> Section:
    """Return what happened in each interval, whenever the visits had begun."""
    assert found.covered is not None  # noqa: S101 -- for the type checker: there are intervals
    request = found.tables.request
    present = occupancy.read(source, request, found.covered)
    now_ms = min(found.covered.to_us, intervals.micros(request.now)) // 1000
    waited = occupancy.clipped(occupancy.waiting(present, now_ms), spine)
    # As in the view queue_intervals: where nobody said when a visit was over, its outcome counts where it came.
    over = pl.coalesce("waited_until_ms", "began_ms")
    moments = pl.concat(
        [
            present.select(at_ms="began_ms", what=pl.lit("began")),
            present.select(at_ms=over, what=pl.col("outcome").cast(pl.String)),
        ]
    )
    within = (pl.col("at_ms") >= found.covered.from_us // 1000) & (pl.col("at_ms") * 1000 < found.covered.to_us)
    numbered = (
        moments.filter(within).with_columns(at=pl.col("at_ms") * 1000).with_columns(interval=spine.position("at"))
    )
    counts = numbered.group_by("interval").agg(
        (pl.col("what") == name).sum().cast(pl.Int64).alias(name) for name in ("began", *OUTCOMES)
    )
    sums = waited.group_by("interval").agg(waited_ms=pl.col("clipped_ms").sum())
    every = spine.frame().join(counts, on="interval", how="left").join(sums, on="interval", how="left").fill_null(0)
    columns = (*interval_columns(request.interval or Interval.HALF_HOUR, spine, request.zone), *_HAPPENED)
    frame = every.with_columns(mean_waiting=pl.col("waited_ms") / LENGTH_MS).sort("interval")
    return Section("happened", "What happened when", columns, frame)


SPEC = ReportSpec(
    name="intervals",
    summary="visits over time: when they began, what happened when, who was waiting when",
    run=report,
)
