"""The laws of landing: whatever comes, in whatever way, the warehouse shows what METRICS says, and nothing else."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from processors import facts
from processors.facts import FACTS
from processors.facts.derivation import Evaluation
from processors.landing.evaluation import LONGEST_WAIT
from processors.landing.landing import Landing
from tests.support.builders import (
    LATER,
    NOON,
    Event,
    Warehouse,
    a_batch,
    a_call,
    a_conference,
    opened_warehouse,
)
from tests.support.effort import tried
from tests.support.fragile import Fragile, InterruptedLandingError
from tests.support.histories import (
    HISTORIES,
    JUMPS,
    UNOBSERVED,
    Told,
    delivery,
)
from tests.support.landing import CLOCK, WAYS, everything, expected, landed, shown
from tests.support.model import happening, rows


@tried(20)
@given(HISTORIES, WAYS, CLOCK)
def test_the_warehouse_shows_what_the_rules_say(history: list[Told], way: int, clock: datetime) -> None:
    arrived = delivery(history, way=way, clock=clock)
    with opened_warehouse() as warehouse:
        assert shown(landed(warehouse, arrived)) == expected(history, judged_at=arrived.last_clock)


@tried(6)
@given(HISTORIES, WAYS, WAYS, CLOCK)
def test_order_repetition_and_batching_change_no_row(
    history: list[Told], way: int, other: int, clock: datetime
) -> None:
    with opened_warehouse() as one, opened_warehouse() as two:
        landed(one, delivery(history, way=way, clock=clock))
        landed(two, delivery(history, way=other, clock=clock))
        assert one.facts() == two.facts()


@tried(5)
@given(UNOBSERVED, CLOCK)
def test_what_definitions_leave_out_where_nothing_was_observed_would_add_nothing(
    history: list[Told], clock: datetime
) -> None:
    assume(any(told.event.event_type in facts.EVENT_TYPES for told in history))  # else there is nothing to derive
    with opened_warehouse() as warehouse:
        landed(warehouse, delivery(history, way=0, clock=clock))
        assert derived(warehouse, observed=False) == derived(warehouse, observed=True)


def derived(warehouse: Warehouse, *, observed: bool) -> dict[str, list[tuple[Any, ...]]]:
    """All facts of the batch that landed last, by definitions that reckon with observed events, or do not."""
    judgement = Evaluation(LATER, LONGEST_WAIT)
    for name in dict.fromkeys(need for fact in FACTS for need in fact.needs):
        warehouse.db.execute(facts.statement(name, observed=observed))
    found = {}
    for fact in FACTS:
        query = fact.query(observed=observed)
        found[fact.table] = sorted(warehouse.db.execute(query, judgement.parameters_of(query)).fetchall(), key=repr)
    return found


COLLISIONS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=6)


def colliding(history: list[Told], collisions: list[tuple[int, int]]) -> list[Told]:
    """The history with the ids of some events given to others. An undated one has the time of its first receipt, which
    is no matter of content, so those keep their own."""
    told = list(history)
    dated = [place for place, each in enumerate(history) if each.event.at is not None]
    for one, other in collisions if dated else ():
        giver, taker = dated[one % len(dated)], dated[other % len(dated)]
        told[taker] = replace(told[taker], event=told[taker].event.but(event_id=told[giver].event.event_id))
    return told


def counting(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """What counts of an id with several contents, and what does not, as far as their own words tell them apart."""
    counts, others = (
        warehouse.db.execute(
            f"select event_id, event_type, occurred_at, entity, queue, reason from {told} order by all"
        ).fetchall()
        for told in ("events", "stored_events semi join contradictions using (log_partition, log_offset)")
    )
    return [*counts, ("contradicted by",), *others]


@tried(6)
@given(HISTORIES, COLLISIONS, WAYS, WAYS, CLOCK)
def test_ids_told_with_several_contents_give_the_same_facts_in_any_order_and_batching(
    history: list[Told], collisions: list[tuple[int, int]], way: int, other: int, clock: datetime
) -> None:
    told = colliding(history, collisions)
    with opened_warehouse() as one, opened_warehouse() as two:
        landed(one, delivery(told, way=way, clock=clock))
        landed(two, delivery(told, way=other, clock=clock))
        assert (one.facts(), counting(one)) == (two.facts(), counting(two))
        before = one.facts()
        one.rebuild()
        assert one.facts() == before


@tried(8)
@given(HISTORIES, WAYS, CLOCK)
def test_facts_derived_live_are_the_facts_of_a_rebuild(history: list[Told], way: int, clock: datetime) -> None:
    with opened_warehouse() as warehouse:
        before = everything(landed(warehouse, delivery(history, way=way, clock=clock)))
        warehouse.rebuild()
        assert everything(warehouse) == before


@tried(8)
@given(HISTORIES, CLOCK)
def test_every_visit_has_one_outcome_and_offered_is_their_sum(history: list[Told], clock: datetime) -> None:
    with opened_warehouse() as warehouse:
        visits = landed(warehouse, delivery(history, way=0, clock=clock)).dicts("queue_visits")
    outcomes = Counter(visit["outcome"] for visit in visits)
    assert outcomes.keys() <= rows.OUTCOMES
    assert len(visits) == sum(outcomes[name] for name in rows.OUTCOMES)
    assert len({visit["visit_id"] for visit in visits}) == len(visits), "a visit is there twice"


@tried(8)
@given(HISTORIES, CLOCK)
def test_the_time_spent_in_queues_is_the_integral_of_their_depth(history: list[Told], clock: datetime) -> None:
    with opened_warehouse() as warehouse:
        visits = landed(warehouse, delivery(history, way=0, clock=clock)).dicts("queue_visits")
    timed = [visit for visit in visits if visit["in_queue_ms"] is not None]
    millisecond = timedelta(milliseconds=1)
    moments = {
        instant: (instant - happening.EPOCH) // millisecond
        for visit in timed
        for instant in (visit["enqueued_at"], visit["left_at"])
    }
    steps = sorted(set(moments.values()))
    integral = sum(
        (end - start) * sum(moments[visit["enqueued_at"]] <= start < moments[visit["left_at"]] for visit in timed)
        for start, end in pairwise(steps)
    )
    assert sum(visit["in_queue_ms"] for visit in timed) == integral


@tried(6)
@given(HISTORIES, WAYS, CLOCK, st.integers(0, 80))
def test_a_failure_between_any_two_statements_changes_nothing(
    history: list[Told], way: int, clock: datetime, statements: int
) -> None:
    arrived = delivery(history, way=way, clock=clock)
    with opened_warehouse() as warehouse:
        fragile = Fragile(warehouse.db)
        landing = Landing(fragile)  # type: ignore[arg-type] # it walks and quacks like a connection
        offset = 1
        for number, each in enumerate(arrived.batches):
            batch = a_batch(each.bodies, first_offset=offset, received=each.received, origin=each.origins)
            offset += len(each.bodies)
            if number == len(arrived.batches) - 1:
                before = everything(warehouse)
                fragile.left = statements
                try:
                    landing.land(batch, each.now)
                except InterruptedLandingError:
                    assert everything(warehouse) == before
                fragile.left = None
            landing.land(batch, each.now)
        assert shown(warehouse) == expected(history, judged_at=arrived.last_clock)


def test_a_failure_at_each_statement_in_turn_changes_nothing() -> None:
    told: list[Event] = [
        *a_call().queued(at=NOON).answered(after=41, ringing=2).talked(300),
        *a_call("bob").queued(at=NOON),
        *a_conference().created().joined("ann", 1).floor("ann", 2).recorded(3, 4).left("ann", 60).ended(61),
    ]
    bodies = [event.body() for event in told]
    with opened_warehouse() as untroubled:
        untroubled.land_bodies(bodies[:3], now=NOON)
        untroubled.land_bodies([*bodies[1:], b"not an event"], now=NOON + timedelta(hours=25))
        wanted = everything(untroubled)
    with opened_warehouse() as warehouse:
        fragile = Fragile(warehouse.db)
        landing = Landing(fragile)  # type: ignore[arg-type] # it walks and quacks like a connection
        landing.land(a_batch(bodies[:3]), NOON)
        before = everything(warehouse)
        batch = a_batch([*bodies[1:], b"not an event"], first_offset=4)
        statements = 0
        while fragile.left is None or fragile.left < 0:
            fragile.left = statements
            try:
                landing.land(batch, NOON + timedelta(hours=25))
            except InterruptedLandingError:
                assert everything(warehouse) == before, f"after statement {statements}"
                statements += 1
        assert statements > 20, "the failures were not where landing is"
        assert everything(warehouse) == wanted


@tried(8)
@given(st.lists(st.integers(0, 26 * 3_600_000_000), min_size=1, max_size=4), st.integers(-2, 2))
@example([0], -1)
@example([0], 0)
def test_time_alone_makes_a_waiting_visit_unknown_after_exactly_a_day(offsets: list[int], off_us: int) -> None:
    beginnings = [NOON + timedelta(microseconds=offset) for offset in offsets]
    calls = [a_call(f"leg-{number}").queued(at=at) for number, at in enumerate(beginnings)]
    with opened_warehouse() as warehouse:
        warehouse.land(*calls, now=NOON)
        for at in sorted(beginnings):
            now = at + timedelta(hours=24, microseconds=off_us)
            warehouse.land(now=now)
            for visit in warehouse.dicts("queue_visits"):
                late = visit["enqueued_at"] <= now - timedelta(hours=24)
                assert visit["outcome"] == ("unknown" if late else "waiting")
                assert (visit["left_at"], visit["wait_ms"]) == (None, None)


@tried(6)
@given(HISTORIES, WAYS, CLOCK, st.lists(st.tuples(st.sampled_from(JUMPS), st.booleans()), min_size=1, max_size=3))
def test_a_clock_that_jumped_leaves_nothing_behind_once_it_is_right(
    history: list[Told], way: int, clock: datetime, jumps: list[tuple[timedelta, bool]]
) -> None:
    arrived = delivery(history, way=way, clock=clock)
    with opened_warehouse() as warehouse, opened_warehouse() as undisturbed:
        landed(undisturbed, arrived)
        for jump, read_before in jumps:
            if read_before:
                landed(warehouse, delivery(history, way=way + 1, clock=clock + jump))
            warehouse.land(now=clock + jump)
        landed(warehouse, arrived)
        assert warehouse.facts() == undisturbed.facts()


@tried(5)
@given(HISTORIES, WAYS, CLOCK, st.sampled_from(JUMPS))
def test_a_rebuild_mends_what_a_clock_that_jumped_ahead_left_behind(
    history: list[Told], way: int, clock: datetime, jump: timedelta
) -> None:
    arrived = delivery(history, way=way, clock=clock)
    with opened_warehouse() as warehouse, opened_warehouse() as undisturbed:
        landed(undisturbed, arrived)
        landed(warehouse, arrived)
        warehouse.land(now=clock + abs(jump))
        warehouse.rebuild(now=clock)
        assert everything(warehouse)["warehouse"] == everything(undisturbed)["warehouse"]
        assert not warehouse.db.execute("from warehouse where open_before > judged_at").fetchall()
        assert warehouse.facts() == undisturbed.facts()


@pytest.mark.parametrize("hours", [0, 23, 25, 100, 744, 745])
def test_a_history_in_two_halves_is_one_life_up_to_a_month_apart(hours: int) -> None:
    call = a_call().queued(at=NOON).hung_up(after=hours * 3600)
    with opened_warehouse() as warehouse:
        for event in reversed(list(call)):
            warehouse.land(event, now=NOON + timedelta(hours=1))
        outcome = warehouse.only("queue_visits")["outcome"]
    assert outcome == ("abandoned" if hours <= 31 * 24 else "waiting")
