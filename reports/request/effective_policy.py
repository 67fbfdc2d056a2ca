"""The policies of queues: threshold, short abandon, target, variant, business hours and time zone, from a date on.

A `QueuePolicy` is what somebody wrote down for a queue; what it leaves open stays as it was before. An
`EffectivePolicy` is what then holds for the queue in a stretch of time, with nothing left open. A visit counts by the
policy that held for its queue when it was enqueued. The number of that policy in the list of all is the visit's
`definition`; it is 0 for queues without a policy of their own.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from reports.calendar import hours as business_hours
from reports.calendar import intervals
from reports.calendar.hours import Hours, Opening


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """What somebody wrote down for a queue, from an instant on (UTC; None: from ever on).

    A field that is None stays as it was before, or as it is for every queue.
    """

    queue: str
    since: datetime | None = None
    threshold_secs: float | None = None
    short_abandon_secs: float | None = None
    target: float | None = None
    variant: str | None = None
    tz: str | None = None
    hours: tuple[Opening, ...] | None = None
    holidays: tuple[date, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePolicy:
    """What holds for a queue from `since` up to, not including, `until` (UTC; None: no bound).

    `queue` None stands for all queues without a policy of their own.
    """

    queue: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    threshold_secs: float
    short_abandon_secs: float
    target: float
    variant: str
    tz: str
    hours: tuple[Opening, ...] | None = None
    holidays: tuple[date, ...] = ()

    @property
    def threshold_ms(self) -> int:
        return round(self.threshold_secs * 1000)

    @property
    def short_abandon_ms(self) -> int:
        return round(self.short_abandon_secs * 1000)

    def overlaps(self, from_: datetime, to: datetime) -> bool:
        """Tell whether the policy holds at some instant of a period."""
        return (self.since is None or self.since < to) and (self.until is None or self.until > from_)


def effective(policies: Sequence[QueuePolicy], others: EffectivePolicy) -> tuple[EffectivePolicy, ...]:
    """Return what holds when by some policies; the first is `others`, for queues without a policy of their own."""
    found = [others]
    for queue in dict.fromkeys(each.queue for each in policies):
        mine = sorted((each for each in policies if each.queue == queue), key=_since)
        held = replace(others, queue=queue)
        if mine[0].since is not None:
            found.append(held)
        for each in mine:
            if found[-1].queue == queue:
                found[-1] = replace(found[-1], until=each.since)
            held = replace(held, since=each.since, **_written(each))
            found.append(held)
    return tuple(found)


def _since(policy: QueuePolicy) -> datetime:
    return policy.since or datetime.min.replace(tzinfo=UTC)


def _written(policy: QueuePolicy) -> dict[str, Any]:
    """Return the fields that a policy does not leave open."""
    named = {one.name: getattr(policy, one.name) for one in fields(policy)}
    return {name: value for name, value in named.items() if name not in {"queue", "since"} and value is not None}


def applied(visits: pl.LazyFrame, policies: Sequence[EffectivePolicy]) -> pl.LazyFrame:
    """Return visits with `definition`, `threshold_ms` and `short_abandon_ms` of the policy that held for each.

    `visits` has `queue` and `enqueued_at` (microseconds since 1970).
    """
    by_policy = {
        "threshold_ms": [each.threshold_ms for each in policies],
        "short_abandon_ms": [each.short_abandon_ms for each in policies],
    }
    if len(policies) == 1:
        constant = {name: pl.lit(values[0]) for name, values in by_policy.items()}
        return visits.with_columns(definition=pl.lit(0, dtype=pl.Int32), **constant)
    number = pl.lit(0, dtype=pl.Int32)
    for n, each in enumerate(policies):
        if each.queue is not None:
            holds = pl.col("queue") == each.queue
            if each.since is not None:
                holds &= pl.col("enqueued_at") >= intervals.micros(each.since)
            number = pl.when(holds).then(pl.lit(n, dtype=pl.Int32)).otherwise(number)
    looked_up = {
        name: pl.col("definition").replace_strict(list(range(len(policies))), values, return_dtype=pl.Int64)
        for name, values in by_policy.items()
    }
    return visits.with_columns(definition=number).with_columns(**looked_up)


def has_hours(policies: Sequence[EffectivePolicy]) -> bool:
    """Tell whether any queue has business hours."""
    return any(each.hours is not None for each in policies)


def is_open(policies: Sequence[EffectivePolicy], from_: datetime, to: datetime) -> pl.Expr:
    """Return whether a visit of a period began within business hours; a queue without any is always open.

    The visits are those that `applied` returns.
    """
    found = pl.lit(value=True)
    for n, each in enumerate(policies):
        if each.hours is None:
            continue
        stretches = business_hours.opened(each.hours, each.holidays, intervals.zone(each.tz), from_, to)
        bounds = pl.Series("bounds", [intervals.micros(at) for stretch in stretches for at in stretch], dtype=pl.Int64)
        within = pl.lit(bounds).search_sorted(pl.col("enqueued_at"), side="right") % 2 == 1
        found = pl.when(pl.col("definition") == n).then(within).otherwise(found)
    return found


def chosen(
    visits: pl.LazyFrame, policies: Sequence[EffectivePolicy], hours: Hours | None, from_: datetime, to: datetime
) -> pl.LazyFrame:
    """Return the visits of a period that began within business hours, or outside of them; all where that is None."""
    if hours is None:
        return visits
    opened = is_open(policies, from_, to)
    return visits.filter(opened if hours is Hours.OPEN else ~opened)


def stretches(
    policies: Sequence[EffectivePolicy],
    queues: Collection[str | None],
    hours: Hours | None,
    from_: datetime,
    to: datetime,
) -> list[tuple[datetime, datetime]]:
    """Return when, in a period, any of some queues is open, or closed: in order and apart. Without hours, all of it."""
    if hours is None:
        return [(from_, to)]
    found: list[tuple[datetime, datetime]] = []
    for each in policies:
        is_asked = (
            each.queue in queues if each.queue is not None else bool(set(queues) - {one.queue for one in policies[1:]})
        )
        if is_asked and each.overlaps(from_, to):
            found += _of_policy(each, hours, max(from_, each.since or from_), min(to, each.until or to))
    return business_hours.merged(found)


def _of_policy(policy: EffectivePolicy, hours: Hours, from_: datetime, to: datetime) -> list[tuple[datetime, datetime]]:
    if policy.hours is None:
        return [(from_, to)] if hours is Hours.OPEN else []
    every = business_hours.opened(policy.hours, policy.holidays, intervals.zone(policy.tz), from_, to)
    opened = [(max(start, from_), min(end, to)) for start, end in every if start < to and end > from_]
    if hours is Hours.OPEN:
        return opened
    edges = [from_, *(at for stretch in opened for at in stretch), to]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]
