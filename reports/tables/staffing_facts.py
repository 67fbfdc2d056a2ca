"""What staffing rests on: arrivals, talks and patience of each queue, and how many talks were in progress when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from reports.calendar import intervals
from reports.calendar.intervals import LENGTH_MS, Spine
from reports.request.request import Request
from reports.source import Source
from reports.tables import occupancy
from reports.tables.visit_data import VisitData
from reports.tables.visits import Period

MIN_HELD_UP_MS = 60_000
"""People must have been held up for so long in an interval before its agents are estimated."""
GRACE_MS = 10_000
"""Whoever has waited for less may just be on the way to an agent who is free."""
MIN_ARRIVALS = 12
"""So many calls must have come within an hour before it counts in the measure of bunching."""
_HOUR_MS = 3_600_000
_BIN = timedelta(minutes=5)
_BINS_OF_AN_HOUR = 12

# A leg may be talked to several times: of a visit, from the first bridge after it began to when the leg was enqueued
# again, else to its hangup. Where nobody saw the leg come into the next queue, nobody knows when the talk was over.
_TALKS = """
with visits as (
    select
        entity,
        queue,
        outcome,
        enqueued_at,
        lead(enqueued_at) over later as next_at,
        lead(enqueued_at is null) over later as ends_unseen
    from queue_visits
    where coalesce(enqueued_at, left_at) >= make_timestamptz($from)
    and entity in (
        select entity
        from queue_visits
        where outcome = 'answered'
        and enqueued_at >= make_timestamptz($from)
        and enqueued_at < make_timestamptz($to)
    )
    window later as (partition by entity order by coalesce(enqueued_at, left_at), left_at)
),
spoken_to as (
    select entity, visits.queue, enqueued_at, next_at, min(occurred_at) as talks_from
    from events
    join visits using (entity)
    where event_type = 'call.bridged'
    and occurred_at >= make_timestamptz($from)
    and occurred_at >= enqueued_at
    and (next_at is null or occurred_at < next_at)
    and ends_unseen is distinct from true
    and outcome = 'answered'
    and enqueued_at < make_timestamptz($to)
    and (len($queues) = 0 or list_contains($queues::varchar[], visits.queue))
    group by all
),
talks as (
    select
        queue,
        epoch_us(talks_from) // 1000 as start_ms,
        epoch_us(least(next_at, min(ended_at))) // 1000 as end_ms
    from spoken_to
    left join calls
    on calls.entity = spoken_to.entity
    and ended_at >= make_timestamptz($from)
    and ended_at >= talks_from
    group by spoken_to.entity, queue, talks_from, next_at
)
select queue, end_ms - start_ms as talk_ms, start_ms, end_ms
from talks
where end_ms is not null
order by start_ms, end_ms
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What a queue had to do in a period. Null where there is nothing to tell it from."""

    offered: int
    arrivals_per_hour: float
    handled: int
    handle_ms: float | None
    handle_cv: float | None
    abandoned: int
    patience_ms: float | None
    dispersion: float | None


def parts(found: VisitData) -> pl.DataFrame:
    """Return every measure by queue and interval, or by the parts into which a new definition cuts one.

    `interval_start` and `interval_end` are those of the part.
    """
    rows = found.tables.table(["queue", "interval"])
    if not found.tables.has_policies:
        return rows
    begun = rows.with_columns(pl.max_horizontal("interval_start", "since").alias("interval_start"))
    next_ = pl.col("interval_start").shift(-1).over("queue", "interval")
    return begun.with_columns(interval_end=pl.coalesce(next_, "interval_end"))


def loads(source: Source, request: Request, found: VisitData) -> dict[str | None, Load]:
    """Return the load of each queue to which somebody came."""
    of_queues = (
        talks(source, request, found.covered)
        .group_by("queue")
        .agg(handled=pl.len(), handle_ms=pl.col("talk_ms").mean(), spread=pl.col("talk_ms").std())
    )
    handled = {row["queue"]: row for row in of_queues.iter_rows(named=True)}
    hours = parts(found).filter(pl.col("offered") > 0)
    busy_ms = dict(hours.group_by("queue").agg(LENGTH_MS.sum()).iter_rows())
    bunched = _dispersions(found)
    found_loads = {}
    for row in found.tables.merged().filter(pl.col("offered") > 0).iter_rows(named=True):
        queue = row["queue"]
        talk = handled.get(queue, {"handled": 0, "handle_ms": None, "spread": None})
        mean, spread = talk["handle_ms"], talk["spread"]
        found_loads[queue] = Load(
            offered=row["offered"],
            arrivals_per_hour=row["offered"] * _HOUR_MS / busy_ms[queue],
            handled=talk["handled"],
            handle_ms=mean,
            handle_cv=spread / mean if mean and spread is not None else None,
            abandoned=row["abandoned"],
            patience_ms=row["total_wait_ms"] / row["abandoned"] if row["abandoned"] else None,
            dispersion=bunched.get(queue),
        )
    return found_loads


def talks(source: Source, request: Request, covered: Period | None) -> pl.DataFrame:
    """Return the talks of visits of a period: queue, talk_ms, start_ms, end_ms."""
    bounds = {"from": covered.from_us if covered else 0, "to": covered.to_us if covered else 0}
    rows = pl.from_arrow(source.db.sql(_TALKS, params={**bounds, "queues": list(request.queues)}).to_arrow_table())
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 -- for the type checker: a table never becomes a series
    return rows


def _dispersions(found: VisitData) -> dict[str | None, float]:
    """Return variance over mean of the arrivals in 5 minutes, within hours so that the time of day is not in it.

    Only 5 minutes that lie in the period as a whole count: in others nobody could come all the time.
    """
    covered = found.covered
    assert covered is not None  # noqa: S101 -- for the type checker: there are loads
    length = _BIN // timedelta(microseconds=1)
    first, end = -(-covered.from_us // length), covered.to_us // length
    bin_ = pl.col("enqueued_at") // length
    counts = (
        found.visits.frame.select(pl.col("queue").cast(pl.String), bin=bin_, hour=bin_ // _BINS_OF_AN_HOUR)
        .filter((pl.col("bin") >= first) & (pl.col("bin") < end))
        .group_by("queue", "hour", "bin")
        .len("arrivals")
    )
    # Of the bins of an hour, those in which nobody came are not there: sums of squares do without them.
    of_hours = counts.group_by("queue", "hour").agg(
        total=pl.col("arrivals").cast(pl.Float64).sum(), squares=(pl.col("arrivals").cast(pl.Float64) ** 2).sum()
    )
    begin = pl.col("hour") * _BINS_OF_AN_HOUR
    bins = pl.min_horizontal(begin + _BINS_OF_AN_HOUR, pl.lit(end)) - pl.max_horizontal(begin, pl.lit(first))
    enough = of_hours.with_columns(bins=bins).filter((pl.col("total") >= MIN_ARRIVALS) & (pl.col("bins") > 1))
    variance = (pl.col("squares") - pl.col("total") ** 2 / pl.col("bins")) / (pl.col("bins") - 1)
    found_ = enough.group_by("queue").agg(variance.sum() / (pl.col("total") / pl.col("bins")).sum())
    return dict(found_.collect().iter_rows())


@dataclass(frozen=True, slots=True)
class HeldUp:
    """How long people were held up in an interval, in milliseconds, and the most talks in progress meanwhile."""

    held_up_ms: int = 0
    talks: int = 0

    @property
    def agents(self) -> int | None:
        """Return how many agents there were at least; None where people were held up for too short a time."""
        return self.talks if self.talks and self.held_up_ms >= MIN_HELD_UP_MS else None


def held_up(source: Source, request: Request, found: VisitData) -> Mapping[tuple[str | None, int], HeldUp]:
    """Return for each queue and interval how long people were held up, and the talks in progress while they were.

    While somebody is held up every agent is taken, so the most talks are how many agents there are, less those who ring
    or wrap up.
    """
    covered, spine = found.covered, found.tables.spine
    if covered is None or spine is None:
        return {}
    until_ms = min(covered.to_us, intervals.micros(request.now)) // 1000
    waits = occupancy.waiting(occupancy.read(source, request, covered), until_ms)
    long = waits.with_columns(pl.col("start_ms") + GRACE_MS).filter(pl.col("start_ms") < pl.col("end_ms"))
    # Who came before the period may be talked to in it.
    around = Period(covered.from_ - timedelta(days=1), covered.to)
    return _while_waiting(talks(source, request, around), long, spine)


def _while_waiting(talked: pl.DataFrame, waits: pl.DataFrame, spine: Spine) -> dict[tuple[str | None, int], HeldUp]:
    queues = waits.select(pl.col("queue").cast(pl.String).unique())
    bounds = pl.DataFrame({"at": [intervals.micros(at) // 1000 for at in spine.bounds]}, schema={"at": pl.Int64})
    steps = [
        frame.select(
            pl.col("queue").cast(pl.String), at=name, talks=pl.lit(step * talking), waits=pl.lit(step * (1 - talking))
        )
        for frame, talking in ((talked, 1), (waits, 0))
        for name, step in (("start_ms", 1), ("end_ms", -1))
    ]
    steps.append(queues.join(bounds, how="cross").with_columns(talks=pl.lit(0), waits=pl.lit(0)))
    walked = (
        pl.concat(steps)
        .group_by("queue", "at")
        .agg(pl.col("talks", "waits").sum())
        .sort("queue", "at")
        .with_columns(
            pl.col("talks", "waits").cum_sum().over("queue"),
            lasts=pl.col("at").shift(-1).over("queue") - pl.col("at"),
            micros=pl.col("at") * 1000,
        )
        .filter((pl.col("waits") > 0) & pl.col("lasts").is_not_null())
        .with_columns(interval=spine.position("micros"))
    )
    taken = walked.group_by("queue", "interval").agg(held_up_ms=pl.col("lasts").sum(), talks=pl.col("talks").max())
    return {
        (row["queue"], row["interval"]): HeldUp(row["held_up_ms"], row["talks"]) for row in taken.iter_rows(named=True)
    }
