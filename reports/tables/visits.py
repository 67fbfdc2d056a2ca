"""Queue visits read for a report: just the columns that measures need, just the period, as Arrow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from reports.calendar import intervals, periods
from reports.calendar.hours import Hours
from reports.calendar.intervals import Interval, Spine
from reports.calendar.periods import FactExtent
from reports.errors import SourceError
from reports.measures.measures import OUTCOMES
from reports.request import effective_policy
from reports.request.request import Request
from reports.source import Source

_MICROSECOND = timedelta(microseconds=1)
_CHOSEN = "(len($queues) = 0 or list_contains($queues::varchar[], queue))"

# A visit without a known beginning counts when it left.
_MOMENTS = """
select coalesce(enqueued_at, left_at) as began, left_at as ended, 1 as facts
from queue_visits
"""

_WITHIN = f"enqueued_at >= make_timestamptz($from) and enqueued_at < make_timestamptz($to) and {_CHOSEN}"

_QUEUES = f"select distinct queue from queue_visits where queue is not null and {_WITHIN}"

_OUTCOMES = f"select distinct outcome from queue_visits where {_WITHIN}"

# The longest that a visit that is over can have waited, where its wait is not known.
BOUND_MS = """
case
    when wait_ms is null and outcome <> 'waiting'
    then epoch_us(left_at_latest) // 1000 - epoch_us(enqueued_at) // 1000
end
"""

# The events of a visit that are not known: a visit has an enqueue and a dequeue, or an enqueue alone while it waits.
MISSING = """
(
    (enqueued_at_source is distinct from 'observed')::tinyint
    + (outcome <> 'waiting' and reason is null and position_out is null and reported_wait_secs is null)::tinyint
)
"""

# Texts become numbers where they are read, which DuckDB does once for each text that is stored, not for each visit.
_READ = f"""
select
    list_position($names::varchar[], queue) - 1 as queue,
    epoch_us(enqueued_at) as enqueued_at,
    list_position($outcomes::varchar[], outcome) - 1 as outcome,
    wait_ms,
    {BOUND_MS} as bound_ms,
    {MISSING} as missing
from queue_visits
where {_WITHIN}
"""

_REPORTED = f"""
select count(*)
from queue_visits
where {_WITHIN}
    and enqueued_at_source = 'reported'
"""

_TIMELESS = f"""
select count(*)
from queue_visits
where enqueued_at is null
    and ($from is null or left_at is null or left_at >= make_timestamptz($from))
    and ($to is null or left_at is null or left_at < make_timestamptz($to))
    and {_CHOSEN}
"""


@dataclass(frozen=True, slots=True)
class Visits:
    """The visits of a period.

    `frame` has the columns queue (an enum in order, of all that were found, asked for or have a policy), enqueued_at
    (Int64, microseconds since 1970), outcome, wait_ms, `bound_ms` (of a visit that is over without a known wait, how
    long it can have waited at most), `missing` (how many of the two events of a visit are not
    known), threshold_ms, short_abandon_ms, and `definition`, the number of the policy that held for the visit.
    `timeless` counts visits that nobody knows the beginning of: they belong to no interval.
    `reported` counts those whose beginning was worked out from the wait that Telnyx reported, `outside` those that
    began outside of business hours, where all are asked for.
    """

    frame: pl.LazyFrame
    timeless: int
    reported: int
    outside: int = 0


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open stretch of time in UTC, `to` exclusive.

    `apart` counts the facts that it leaves out because their time is far from that of all others.
    """

    from_: datetime
    to: datetime
    apart: int = 0

    @property
    def from_us(self) -> int:
        return intervals.micros(self.from_)

    @property
    def to_us(self) -> int:
        return intervals.micros(self.to)

    def spine(self, request: Request, length: Interval) -> Spine:
        """Return the intervals of the period: one that it cuts is as long as what is left of it."""
        return intervals.spine(self.from_, self.to, request.zone, length).within(self.from_, self.to)


def period(source: Source, request: Request, moments: str = _MOMENTS) -> Period | None:
    """Return the period of a request, taking from the facts what it leaves open; None when there is neither.

    Left open, it begins with the local day of the first fact and ends with that in which the last was over, or at `now`
    if that day is not over; facts whose time is far from that of all others are left out (`periods.bulk`). `moments` is
    SQL for when so many `facts` `began` and `ended`.
    """
    from_, to, apart = request.from_, request.to, 0
    if from_ is None or to is None:
        every = _extents(source, moments)
        extents = [each for each in every if _touches(each, from_, to)] or every
        near = periods.bulk(extents, request.now)
        if near is None:
            return None
        apart = sum(each.facts for each in extents) - near.facts
        from_ = from_ or intervals.midnight(near.first.astimezone(request.zone).date(), request.zone)
        day = near.over.astimezone(request.zone).date() + timedelta(days=1)
        to = to or max(near.last + timedelta(microseconds=1), min(intervals.midnight(day, request.zone), request.now))
    return None if from_ >= to else Period(from_, to, apart)


def _touches(extent: FactExtent, from_: datetime | None, to: datetime | None) -> bool:
    return (from_ is None or extent.last >= from_) and (to is None or extent.first < to)


def _extents(source: Source, of_facts: str) -> list[FactExtent]:
    """Return the extent of the facts of each day in UTC that has some, in order."""
    rows = source.db.execute(
        f"""
        with facts as (
            select
                facts,
                epoch_us(began) as began,
                -- an end that is far from its beginning is a wrong clock's
                if(epoch_us(ended) - epoch_us(began) between 0 and $far, epoch_us(ended), epoch_us(began)) as ended
            from ({of_facts})
        )
        select min(began), max(began), max(ended), sum(facts)::bigint
        from facts
        where began is not null
        group by began // $day
        order by 1
        """,
        {"far": periods.FAR // _MICROSECOND, "day": timedelta(days=1) // _MICROSECOND},
    ).fetchall()
    return [FactExtent(_instant(first), _instant(last), _instant(over), facts) for first, last, over, facts in rows]


def read(source: Source, request: Request, period: Period | None) -> Visits:
    """Return the visits that were enqueued in a period into the queues asked for."""
    # An empty period reads no visits, but with the right columns.
    within = {
        "from": period.from_us if period else 0,
        "to": period.to_us if period else 0,
        "queues": list(request.queues),
    }
    frame = effective_policy.applied(_rows(source, request, within).lazy(), request.effective_policies)
    outside = 0
    if period is not None and effective_policy.has_hours(request.effective_policies):
        closed = effective_policy.chosen(frame, request.effective_policies, Hours.CLOSED, period.from_, period.to)
        outside = int(closed.select(pl.len()).collect().item())
    if period is not None:
        frame = effective_policy.chosen(frame, request.effective_policies, request.hours, period.from_, period.to)
    return Visits(
        frame=frame,
        timeless=timeless(source, request),
        reported=_number(source, _REPORTED, within),
        outside=outside,
    )


def timeless(source: Source, request: Request) -> int:
    """Return how many visits have no known beginning, of those that left in the period that was asked for."""
    asked = {
        "from": None if request.from_ is None else intervals.micros(request.from_),
        "to": None if request.to is None else intervals.micros(request.to),
        "queues": list(request.queues),
    }
    return _number(source, _TIMELESS, asked)


def _rows(source: Source, request: Request, within: Mapping[str, object]) -> pl.DataFrame:
    found = {queue for (queue,) in source.db.execute(_QUEUES, dict(within)).fetchall()}
    with_policy = {each.queue for each in request.effective_policies if each.queue is not None}
    names = sorted({*found, *request.queues, *with_policy})
    values = {**within, "names": names, "outcomes": list(OUTCOMES)}
    rows = pl.from_arrow(source.db.sql(_READ, params=values).to_arrow_table())
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 -- for the type checker: a table never becomes a series
    if rows["outcome"].null_count():
        outcomes = {each for (each,) in source.db.execute(_OUTCOMES, dict(within)).fetchall()} - set(OUTCOMES)
        raise SourceError(f"outcomes {sorted(outcomes)} are not known: expected some of {', '.join(OUTCOMES)}")
    return rows.with_columns(_named("queue", names), _named("outcome", OUTCOMES))


def _named(column: str, names: Sequence[str]) -> pl.Expr:
    """Return a column of positions in a list as what they stand for."""
    kind = pl.Enum(names)
    return pl.col(column).cast(pl.Series(dtype=kind).to_physical().dtype).cat.to(kind)


def _number(source: Source, query: str, values: Mapping[str, object]) -> int:
    # fetchall, because a result that is not read to its end bars the connection to the next query.
    ((number,),) = source.db.execute(query, dict(values)).fetchall()
    return int(number)


def _instant(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
