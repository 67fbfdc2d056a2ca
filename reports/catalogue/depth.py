"""The report `depth`: how many stood in the queues over time, at most, on average, and who had waited longest."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from reports.calendar import intervals
from reports.calendar.intervals import (
    LENGTH_MS,
    Interval,
    Spine,
)
from reports.catalogue.spec import ReportSpec
from reports.measures.definitions import ValueKind, digest
from reports.request import scope
from reports.request.request import Request
from reports.source import Source
from reports.tables import (
    dimensions,
    notes,
    occupancy,
    visits,
)
from reports.tables.assembly import assembled
from reports.tables.dimensions import Dimension, interval_columns
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.visit_tables import OWN, QUEUE
from reports.tables.visits import Period, period

_COLUMNS = (
    Column("peak", "Peak", ValueKind.COUNT, 1, "most visits in the queue at one moment, leaving before joining"),
    Column("peak_at", "Peak at", ValueKind.TIME, 2),
    Column("mean_depth", "Mean", ValueKind.NUMBER, 1, "time in the queue that lies in it / its length"),
    Column("depth_ms", "Time in queue", ValueKind.DURATION, 4, "sum of time in the queue that lies in it"),
    Column("longest_waiting_ms", "Longest waiting", ValueKind.DURATION, 1, "longest that anybody had waited by then"),
)
MEASURE_DEFINITIONS = digest(_COLUMNS)
_SCHEMA: Mapping[str, Any] = {
    "queue": pl.String,
    "interval": pl.Int64,
    "peak": pl.Int64,
    "peak_at": pl.Datetime("us", "UTC"),
    "depth_ms": pl.Int64,
    "longest_waiting_ms": pl.Int64,
    "length_ms": pl.Int64,
}


def report(source: Source, request: Request) -> Report:
    """Return the report. Raises RequestError. Without an interval it takes one that a chart has room for."""
    basis, covered = source.basis(), period(source, request)
    by = dimensions.chosen(request, covered, own=OWN, report="depth", at="at")
    present = (
        occupancy.read(source, request, covered).drop_nulls("began_ms").with_columns(pl.col("queue").cast(pl.String))
    )
    sections = []
    spine = None
    if covered is not None:
        length = request.interval or intervals.fitting(covered.from_, covered.to)
        spine = covered.spine(request, length)
        names = sorted({*present["queue"].unique(), *request.queues}, key=lambda name: (name is None, name or ""))
        intervals.require_bounded(len(names), spine)
        both = [_measured(_of(present, name), covered, spine, request, name) for name in names]
        over_time = _measured(present, covered, spine, request, scope.whole(request))
        queues, total = (pl.concat([_overall(each) for each in frames] or [_none()]) for frames in (both, [over_time]))
        when = interval_columns(length, spine, request.zone)
        sections = [
            Section("queues", "By queue", (QUEUE, *_COLUMNS), queues, total),
            Section("intervals", f"{scope.whole(request)} by {length.noun}", (*when, *_COLUMNS), over_time),
            Section(
                "queue_intervals",
                f"By queue and {length.noun}",
                (QUEUE, *when, *_COLUMNS),
                pl.concat(both or [_none()]),
                sparse="depth_ms",
            ),
        ]
        if _is_calendar(request):
            sections.insert(0, _grouped(present, covered, request, by, names))
    else:
        sections = [Section("queues", "By queue", (QUEUE, *_COLUMNS), _none())]
    return assembled(
        name="depth",
        title="Queue length",
        what="visits",
        request=request,
        basis=basis,
        covered=covered,
        spine=spine,
        sections=sections,
        main=sections[0].name if request.interval is None or spine is None or by else "queue_intervals",
        headline=[
            column for column in _COLUMNS if column.name in {"peak", "peak_at", "mean_depth", "longest_waiting_ms"}
        ],
        definition={
            "depth": "visits with enqueued_at <= t < left_at",
            "peak": "the greatest depth; leaving comes before joining at one instant",
            "mean_depth": "time in the queue that lies in the interval / its length (Little's law)",
        },
        said=[
            "Depth counts who is in the queue, whenever they came; who hung up is there until Telnyx takes them out.",
            "Visits of which nobody knows the beginning, or the end, are left out; those of before the period are in.",
            *notes.timeless(visits.timeless(source, request)),
            *([] if present.height else ["Nobody was in a queue in this period."]),
        ],
        measures=MEASURE_DEFINITIONS,
        charts=("depth",) if present.height and spine is not None else (),
    )


def _of(present: pl.DataFrame, queue: str | None) -> pl.DataFrame:
    return present.filter(pl.col("queue").eq_missing(pl.lit(queue)))


def _is_calendar(request: Request) -> bool:
    return bool(set(request.by) - {"queue"})


def _grouped(
    present: pl.DataFrame, covered: Period, request: Request, by: Sequence[Dimension], names: Sequence[str | None]
) -> Section:
    """Return the depth by the local calendar, from pieces of time that are each in one group."""
    pieces = covered.spine(request, _piece(request))
    each = (
        [(_of(present, name), name) for name in names] if "queue" in request.by else [(present, scope.whole(request))]
    )
    frames = [_measured(some, covered, pieces, request, name) for some, name in each]
    numbered = dimensions.numbered(pl.concat(frames or [_none()]).with_columns(at="interval_start").lazy(), by)
    highest = pl.struct("peak", "peak_at").sort_by("peak", "peak_at", descending=[True, False]).first()
    found = (
        numbered.group_by([one.name for one in by])
        .agg(highest.alias("highest"), pl.col("depth_ms", "length_ms").sum(), pl.col("longest_waiting_ms").max())
        .unnest("highest")
        .with_columns(mean_depth=pl.col("depth_ms") / pl.col("length_ms"))
    )
    columns = (*(one.column for one in by), *_COLUMNS)
    return Section("by", dimensions.title(by), columns, dimensions.labelled(found.collect(), by))


def _piece(request: Request) -> Interval:
    """Return the longest interval that lies in one group of all that is asked for."""
    asked = [request.interval] if "interval" in request.by and request.interval is not None else []
    lengths = [*asked, Interval.HOUR if "hour" in request.by else Interval.DAY]
    return min(lengths, key=list(Interval).index)


def _none() -> pl.DataFrame:
    moment = pl.Datetime("us", "UTC")
    schema = {**_SCHEMA, "mean_depth": pl.Float64, "interval_start": moment, "interval_end": moment}
    return pl.DataFrame(schema=schema)


def _measured(present: pl.DataFrame, covered: Period, spine: Spine, request: Request, name: str | None) -> pl.DataFrame:
    """Return the depth of some visits in each interval of the period."""
    until_ms = min(covered.to_us, intervals.micros(request.now)) // 1000
    end = pl.when(pl.col("outcome") == "waiting").then(pl.lit(until_ms)).otherwise(pl.col("left_ms"))
    there = present.select(start_ms="began_ms", end_ms=end).filter(pl.col("end_ms").is_not_null())
    lying = occupancy.clipped(there, spine).group_by("interval").agg(depth_ms=pl.col("clipped_ms").sum())
    ends = pl.lit(pl.Series([intervals.micros(at) // 1000 for at in spine.bounds[1:]], dtype=pl.Int64))
    waited = (
        occupancy.clipped(occupancy.waiting(present, until_ms), spine)
        .with_columns(waited=pl.min_horizontal("end_ms", ends.gather("interval")) - pl.col("start_ms"))
        .group_by("interval")
        .agg(longest_waiting_ms=pl.col("waited").max())
    )
    joined = (
        spine.frame()
        .with_columns(length_ms=LENGTH_MS)
        .join(lying, on="interval", how="left")
        .join(waited, on="interval", how="left")
        .join(_peaks(there, spine), on="interval", how="left")
        .with_columns(pl.col("depth_ms", "peak").fill_null(0))
    )
    named = joined.with_columns(
        queue=pl.lit(name, dtype=pl.String), mean_depth=pl.col("depth_ms") / pl.col("length_ms")
    )
    return named.sort("interval").select(_none().columns)


def _overall(over_time: pl.DataFrame) -> pl.DataFrame:
    """Return the depth of a whole period, given that of its intervals."""
    highest = over_time.sort("peak", "peak_at", descending=[True, False], nulls_last=True).head(1)
    whole = over_time.select(pl.col("depth_ms", "length_ms").sum(), pl.col("longest_waiting_ms").max())
    return highest.with_columns(whole).with_columns(mean_depth=pl.col("depth_ms") / pl.col("length_ms"))


def _peaks(there: pl.DataFrame, spine: Spine) -> pl.DataFrame:
    """Return the greatest depth of each interval and when it was first reached; it may have been so from the start."""
    steps = pl.concat(
        [
            there.select(at="start_ms", step=pl.lit(1)),
            there.select(at="end_ms", step=pl.lit(-1)),
            # A step of nothing at each beginning, so that who was there already is seen.
            pl.DataFrame(
                {"at": [intervals.micros(at) // 1000 for at in spine.bounds[:-1]]}, schema={"at": pl.Int64}
            ).select("at", step=pl.lit(0)),
        ]
    )
    depth = steps.group_by("at").agg(pl.col("step").sum()).sort("at").with_columns(depth=pl.col("step").cum_sum())
    numbered = depth.with_columns(at=pl.col("at") * 1000).with_columns(interval=spine.position("at"))
    return (
        numbered.filter((pl.col("interval") >= 0) & (pl.col("interval") < len(spine)))
        .sort("depth", "at", descending=[True, False])
        .group_by("interval", maintain_order=True)
        .agg(peak=pl.col("depth").first().cast(pl.Int64), peak_at=pl.col("at").first())
        .with_columns(
            peak_at=pl.when(pl.col("peak") > 0).then(pl.from_epoch("peak_at", "us").dt.replace_time_zone("UTC"))
        )
    )


SPEC = ReportSpec(
    name="depth",
    summary="queue length over time, its peak, and who had waited longest",
    run=report,
)
