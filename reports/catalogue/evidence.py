"""Evidence for the figures of a report: the facts that a figure is taken over, and the events that a fact rests on.

Figures are taken over facts, each of which adds something: one to a count where a claim holds of it, its wait to a sum.
Where what it adds is the same, and to the same group, the fact changed no figure, however else it changed.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import polars as pl

from reports.measures.definitions import (
    Aggregate,
    Measure,
    Percentile,
)
from reports.measures.measures import (
    AGGREGATES,
    COMPLETENESS,
    MEAN_WAIT,
    SHARES,
    every_measure,
)
from reports.request import effective_policy
from reports.request.request import Request
from reports.source import Source
from reports.tables.facts import FactTable
from reports.tables.visits import (
    BOUND_MS,
    MISSING,
    Period,
)

LIFE = {"entity": "entity", "since": "epoch_us(entity_since)"}
_VISITS = FactTable(
    "queue_visits",
    "enqueued_at",
    {
        **LIFE,
        **{name: name for name in ("queue", "outcome", "wait_ms")},
        "bound_ms": BOUND_MS,
        "missing": MISSING,
        "over_us": "epoch_us(left_at_latest)",
    },
    by_queue=True,
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The facts that a report's figures are taken over, and the events that each fact rests on.

    `adds` returns what a fact adds to measures of the names given, as expressions over its columns, and `event_types`
    the types of events that tell of it. `rests` is SQL over a `fact` and an `event` of such a type and of the same leg
    or conference: true where the fact rests on the event. `fact.at` is when the fact counts, `fact.next_us` when the
    next fact of the same leg began.
    """

    facts: FactTable
    adds: Callable[[Collection[str], Request], Sequence[pl.Expr]]
    event_types: Callable[[Collection[str]], Collection[str]]
    rests: str

    def changed(
        self, before: Source, after: Source, request: Request, period: Period, measures: Collection[str]
    ) -> pl.DataFrame:
        """Return the facts of a period that add one thing before and another after: `at` and the columns of the facts.

        A fact whose two states differ has a row for each.
        """
        sides = [self._added(source, request, period, measures) for source in (before, after)]
        keys = [name for name in sides[0].columns if name.startswith(_ADDED)]
        return pl.concat(
            one.join(other, on=["entity", *keys], how="anti", nulls_equal=True)
            for one, other in (sides, reversed(sides))
        ).drop(keys)

    def _added(self, source: Source, request: Request, period: Period, measures: Collection[str]) -> pl.DataFrame:
        rows = self.facts.read(source, request, period)
        groups = [pl.col("queue").alias(f"{_ADDED}queue")] if self.facts.by_queue else []
        if self.facts.by_queue:
            rows = effective_policy.applied(rows.with_columns(enqueued_at="at"), request.effective_policies)
            groups.append(pl.col("definition").alias(f"{_ADDED}definition"))
        if request.interval is not None:
            groups.append(period.spine(request, request.interval).position("at").alias(f"{_ADDED}interval"))
        added = [each.alias(f"{_ADDED}{n}") for n, each in enumerate(self.adds(measures, request))]
        return rows.with_columns(*groups, *added).collect()


_ADDED = "adds "


def _to_visits(measures: Collection[str], request: Request) -> list[pl.Expr]:
    """Return what a visit adds to measures: the claims and values of the aggregates that they are made of."""
    variants = {each.variant for each in request.effective_policies}
    named: dict[str, list[Measure]] = {COMPLETENESS.name: [COMPLETENESS], "below_floor": [COMPLETENESS]}
    for variant in variants:
        for measure in (*every_measure(variant), *SHARES, MEAN_WAIT):
            named.setdefault(measure.name, []).append(measure)
    parts = {part for name in measures for measure in named.get(name, AGGREGATES) for part in _parts(measure)}
    return [pl.sql_expr(part) for part in sorted(parts)]


def _parts(measure: Measure) -> set[str]:
    """Return SQL over a visit for all that a measure is made of."""
    if isinstance(measure, Aggregate):
        return {measure.of}
    if isinstance(measure, Percentile):
        return {f"case when {measure.of} then wait_ms end"}
    names = set(re.findall(r"[a-z_]+", f"{measure.numerator} {measure.denominator}"))
    return {each.of for each in AGGREGATES if each.name in names} | (names & {"missing"})


def _tell_of_visits(_: Collection[str]) -> Collection[str]:
    return {"call.enqueued", "call.dequeued", "call.bridged", "call.hangup", "reconciler.queue.call.observed"}


VISITS = Evidence(
    _VISITS,
    _to_visits,
    _tell_of_visits,
    # Its own, from its enqueue to the leg's next one. Stamps may be the wrong way round by a second. What ended it may
    # be the next enqueue itself, or the leg's coming into a conference.
    """
    (
        event.occurred_at >= make_timestamptz(fact.at) - interval 1 second
        and (fact.next_us is null or epoch_us(event.occurred_at) < fact.next_us)
        and (event.event_type in ('call.bridged', 'call.hangup') or event.queue is not distinct from fact.queue)
        and (event.event_type <> 'call.enqueued' or epoch_us(event.occurred_at) = fact.at)
    )
    or epoch_us(event.occurred_at) = fact.over_us
    or (fact.outcome = 'failed_bridge' and epoch_us(event.occurred_at) = fact.next_us)
    """,
)
