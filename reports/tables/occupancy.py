"""Queue visits as stretches of time that touch a period, whenever they began: who was there, and who was waiting.

Instants are whole milliseconds since 1970, as the facts' own durations are, so that sums over intervals equal sums over
visits to the millisecond. A caller who hung up before the dequeue stops waiting then, but is there until the dequeue.
"""

from datetime import timedelta

import polars as pl

from reports.calendar.intervals import Spine, micros
from reports.request.request import Request
from reports.source import Source
from reports.tables.visits import Period

LONGEST = timedelta(days=31)
"""The longest that a visit may be configured to last. It bounds the lookup of visits that began before a period."""

_READ = """
with visits as (
    select
        queue,
        outcome,
        wait_ms,
        epoch_us(enqueued_at) // 1000 as began_ms,
        coalesce(epoch_us(enqueued_at) // 1000 + wait_ms, epoch_us(left_at) // 1000) as waited_until_ms,
        epoch_us(left_at) // 1000 as left_ms
    from queue_visits
    where (
        (enqueued_at >= make_timestamptz($earliest) and enqueued_at < make_timestamptz($to))
        or (enqueued_at is null and left_at >= make_timestamptz($from) and left_at < make_timestamptz($to))
    )
    and (len($queues) = 0 or list_contains($queues::varchar[], queue))
)
select *
from visits
where coalesce(left_ms, waited_until_ms, began_ms) >= $from // 1000
or outcome = 'waiting'
"""


def read(source: Source, request: Request, covered: Period | None) -> pl.DataFrame:
    """Return the visits that touch a period: queue, outcome, wait_ms, began_ms, waited_until_ms, left_ms.

    What is not known is null: a visit that is waiting has no end, one that is unknown neither, and one that nobody saw
    come has no beginning.
    """
    bounds = {"from": 0, "to": 0} if covered is None else {"from": covered.from_us, "to": covered.to_us}
    earliest = bounds["from"] - LONGEST // timedelta(microseconds=1)
    values = {**bounds, "earliest": earliest, "queues": list(request.queues)}
    rows = pl.from_arrow(source.db.sql(_READ, params=values).to_arrow_table())
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 -- for the type checker: a table never becomes a series
    return rows


def clipped(stretches: pl.DataFrame, spine: Spine) -> pl.DataFrame:
    """Return how much of each stretch lies in each interval: the columns of `stretches`, `interval`, `clipped_ms`.

    `stretches` has `start_ms` and `end_ms`. An interval that a stretch does not touch has no row.
    """
    bounds = pl.Series([micros(bound) // 1000 for bound in spine.bounds], dtype=pl.Int64)
    first = pl.lit(bounds).search_sorted(pl.col("start_ms"), side="right").cast(pl.Int64) - 1
    last = pl.lit(bounds).search_sorted(pl.col("end_ms"), side="left").cast(pl.Int64) - 1
    inside = stretches.filter(
        (pl.col("end_ms") > pl.col("start_ms")) & (pl.col("end_ms") > bounds[0]) & (pl.col("start_ms") < bounds[-1])
    )
    numbered = inside.with_columns(
        interval=pl.int_ranges(first.clip(0), last.clip(0, len(spine) - 1) + 1, dtype=pl.Int64)
    ).explode("interval")
    start, end = (pl.lit(bounds).gather(pl.col("interval") + n) for n in (0, 1))
    within = pl.min_horizontal("end_ms", end) - pl.max_horizontal("start_ms", start)
    return numbered.with_columns(clipped_ms=within)


def waiting(present: pl.DataFrame, until_ms: int) -> pl.DataFrame:
    """Return the stretches of waiting, of those still at it up to an instant: `queue`, `start_ms`, `end_ms`."""
    end = pl.when(pl.col("outcome") == "waiting").then(pl.lit(until_ms)).otherwise(pl.col("waited_until_ms"))
    stretches = present.select("queue", pl.col("began_ms").alias("start_ms"), end.alias("end_ms"))
    return stretches.drop_nulls(["start_ms", "end_ms"])
