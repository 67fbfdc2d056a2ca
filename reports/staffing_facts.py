"""What staffing rests on: arrivals, talks and patience of each queue, and how many talks were in progress when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from reports import intervals, presence
from reports.intervals import Spine
from reports.request import Request
from reports.source import Source
from reports.visit_tables import Reading

_ENOUGH_MS = 60_000
"""So long must somebody have waited in an interval before it tells how many agents there were."""
_GRACE_MS = 10_000
"""Whoever has waited for less may just be on the way to an agent who is free."""

# A leg is talked to once, from its first bridge: the talk belongs to the first visit of the leg that was answered. What
# a leg's call says began not long before its visit.
_TALKS = """
with answered as (
    select
        call_leg_id,
        arg_min(queue, enqueued_at) as queue,
        min(enqueued_at) as enqueued_at
    from queue_visits
    where outcome = 'answered'
    and enqueued_at >= make_timestamptz($from)
    and enqueued_at < make_timestamptz($to)
    and (len($queues) = 0 or list_contains($queues::varchar[], queue))
    group by call_leg_id
)
select
    queue,
    talk_ms,
    epoch_us(bridged_at) // 1000 as start_ms,
    epoch_us(bridged_at) // 1000 + talk_ms as end_ms
from answered
join calls using (call_leg_id)
where talk_ms is not null
and coalesce(initiated_at, answered_at, bridged_at) >= make_timestamptz($from) - interval 1 day
and coalesce(initiated_at, answered_at, bridged_at) < make_timestamptz($to) + interval 1 day
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


def loads(source: Source, request: Request, found: Reading) -> dict[str | None, Load]:
    """Return the load of each queue to which somebody came."""
    of_queues = (
        talks(source, request, found)
        .group_by("queue")
        .agg(handled=pl.len(), handle_ms=pl.col("talk_ms").mean(), spread=pl.col("talk_ms").std())
    )
    handled = {row["queue"]: row for row in of_queues.iter_rows(named=True)}
    hours = found.tables.table(["queue", "interval"]).filter(pl.col("offered") > 0)
    lengths = (pl.col("interval_end") - pl.col("interval_start")).dt.total_seconds() / 3600
    busy = dict(hours.group_by("queue").agg(lengths.sum()).iter_rows())
    bunched = _dispersions(found)
    told = {}
    for row in found.tables.merged().filter(pl.col("offered") > 0).iter_rows(named=True):
        queue = row["queue"]
        talk = handled.get(queue, {"handled": 0, "handle_ms": None, "spread": None})
        mean, spread = talk["handle_ms"], talk["spread"]
        told[queue] = Load(
            offered=row["offered"],
            arrivals_per_hour=row["offered"] / busy[queue],
            handled=talk["handled"],
            handle_ms=mean,
            handle_cv=spread / mean if mean and spread is not None else None,
            abandoned=row["abandoned"],
            patience_ms=row["total_wait_ms"] / row["abandoned"] if row["abandoned"] else None,
            dispersion=bunched.get(queue),
        )
    return told


def talks(source: Source, request: Request, found: Reading) -> pl.DataFrame:
    """Return the talks of visits of the period: queue, talk_ms, start_ms, end_ms."""
    covered = found.covered
    bounds = {"from": covered.from_us if covered else 0, "to": covered.to_us if covered else 0}
    rows = pl.from_arrow(source.db.sql(_TALKS, params={**bounds, "queues": list(request.queues)}).to_arrow_table())
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 -- for the type checker: a table never becomes a series
    return rows


def _dispersions(found: Reading) -> dict[str | None, float]:
    """Return variance over mean of the arrivals in 5 minutes, within hours so that the time of day is not in it."""
    five, hour = (pl.col("enqueued_at") // (timedelta(minutes=n) // timedelta(microseconds=1)) for n in (5, 60))
    counts = (
        found.visits.frame.select(pl.col("queue").cast(pl.String), five.alias("five"), hour.alias("hour"))
        .group_by("queue", "hour", "five")
        .len("arrivals")
    )
    # Of twelve pieces, those in which nobody came are not there: sums of squares do without them.
    of_hours = counts.group_by("queue", "hour").agg(
        total=pl.col("arrivals").cast(pl.Float64).sum(), squares=(pl.col("arrivals").cast(pl.Float64) ** 2).sum()
    )
    variance = (pl.col("squares") - pl.col("total") ** 2 / 12) / 11
    enough = of_hours.filter(pl.col("total") >= 12)
    found_ = enough.group_by("queue").agg(variance.sum() / (pl.col("total") / 12).sum())
    return dict(found_.collect().iter_rows())


def agents(source: Source, request: Request, found: Reading) -> Mapping[tuple[str | None, int], int]:
    """Return the most talks of a queue that were in progress while somebody was held up in it, by interval.

    While somebody is held up every agent is taken, so this is how many there are, less those who ring or wrap up.
    """
    covered, spine = found.covered, found.tables.spine
    if covered is None or spine is None:
        return {}
    until_ms = min(covered.to_us, intervals.micros(request.now)) // 1000
    waits = presence.waiting(presence.read(source, request, covered), until_ms)
    held_up = waits.with_columns(pl.col("start_ms") + _GRACE_MS).filter(pl.col("start_ms") < pl.col("end_ms"))
    return _while_waiting(talks(source, request, found), held_up, spine)


def _while_waiting(talked: pl.DataFrame, waits: pl.DataFrame, spine: Spine) -> dict[tuple[str | None, int], int]:
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
    taken = walked.group_by("queue", "interval").agg(waited=pl.col("lasts").sum(), talks=pl.col("talks").max())
    told = taken.filter(pl.col("waited") >= _ENOUGH_MS)
    return {(row["queue"], row["interval"]): row["talks"] for row in told.iter_rows(named=True)}
