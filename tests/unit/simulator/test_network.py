import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from simulator import (
    NONE,
    Faults,
    Plan,
    World,
    deliver,
    simulate,
)


@pytest.fixture(scope="module")
def world() -> World:
    plan = Plan.medium()
    plan = replace(plan, habits=replace(plan.habits, conference=0.5))
    return simulate(plan, seed=2, start=datetime(2026, 3, 2, 14, tzinfo=UTC), duration=timedelta(hours=6))


def test_without_faults_every_event_comes_once_and_in_order(world: World) -> None:
    deliveries = deliver(world.events)
    assert [delivery.body for delivery in deliveries] == [event.body for event in world.events]
    assert deliveries[0].offset_us == 0
    assert deliveries[-1].offset_us == world.events[-1].at - world.events[0].at


def test_the_same_seed_gives_the_same_deliveries(world: World) -> None:
    faults = Faults(delay_s=1, late=0.01, duplicates=0.1, drops=0.1, forged=0.05)
    assert deliver(world.events, faults, seed=4) == deliver(world.events, faults, seed=4)
    assert deliver(world.events, faults, seed=4) != deliver(world.events, faults, seed=5)


def test_delays_disorder_and_lose_nothing(world: World) -> None:
    deliveries = deliver(world.events, Faults(delay_s=2, late=0.01, late_s=600), seed=1)
    ids = [event.event_id for event in world.events]
    arrived = [delivery.event_id for delivery in deliveries]
    assert arrived != ids
    assert sorted(arrived) == sorted(ids)
    assert all(one.offset_us <= next_one.offset_us for one, next_one in pairwise(deliveries))
    due = {event.event_id: event.at - world.events[0].at for event in world.events}
    delays = [(delivery.offset_us - due[delivery.event_id]) / 1e6 for delivery in deliveries]
    assert min(delays) >= 0
    assert 2 < sum(delays) / len(delays) < 20
    assert max(delays) > 600


def test_duplicates_have_the_same_id_and_a_higher_attempt(world: World) -> None:
    deliveries = deliver(world.events, Faults(duplicates=0.2), seed=1)
    times = Counter(delivery.event_id for delivery in deliveries)
    assert set(times) == {event.event_id for event in world.events}
    assert 1.2 < len(deliveries) / len(world.events) < 1.3  # 1 / (1 - 0.2)
    assert max(times.values()) > 2
    for delivery in deliveries:
        body = json.loads(delivery.body)
        assert body.get("data", body)["id"] == delivery.event_id
        if "meta" in body:
            assert body["meta"]["attempt"] == delivery.attempt


def test_drops_drop_and_the_rest_of_the_truth_is_intact(world: World) -> None:
    delivered = {delivery.event_id for delivery in deliver(world.events, Faults(drops=0.02), seed=1)}
    assert 0.97 < len(delivered) / len(world.events) < 0.99
    intact = world.truth.intact(world.events, delivered)
    assert 0.5 < len(intact.queue_visits) / len(world.truth.queue_visits) < 1
    assert 0.5 < len(intact.conferences) / len(world.truth.conferences) < 1
    lost = [event for event in world.events if event.event_id not in delivered]
    legs = {row.call_leg_id for row in intact.queue_visits}
    rooms = {row.conference_id for row in intact.conferences}
    assert {row.conference_id for row in intact.participant_stays} == rooms
    for event in lost:
        assert event.conference_id not in rooms
        assert event.conference_id is not None or event.leg_id not in legs
    everything = {event.event_id for event in world.events}
    assert world.truth.intact(world.events, everything) == world.truth


def test_forged_deliveries_are_extra_and_would_count(world: World) -> None:
    deliveries = deliver(world.events, Faults(forged=0.1), seed=1)
    real = {event.event_id for event in world.events}
    forged = [delivery for delivery in deliveries if delivery.forged]
    assert 0.08 < len(forged) / len(world.events) < 0.12
    assert not real & {delivery.event_id for delivery in forged}
    assert {delivery.event_id for delivery in deliveries if not delivery.forged} == real
    for delivery in forged:
        body = json.loads(delivery.body)
        assert body.get("data", body)["id"] == delivery.event_id


def test_no_events_no_deliveries() -> None:
    assert deliver([], NONE) == []


@pytest.mark.parametrize("bad", [{"drops": 1.5}, {"late": -0.1}, {"duplicates": 1.0}])
def test_impossible_faults_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is a share from 0 to 1"):
        Faults(**bad)
