"""The law of the whole: a center that knows what happened in it, its webhooks as badly delivered as may be, and facts.

The simulator imports none of the stages, so it judges them all: every row of every fact table, in every column that
what happened determines, and no other row.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import settings

from simulator import (
    TABLES,
    Faults,
    Plan,
    Truth,
    World,
    deliver,
    simulate,
)
from simulator.plan import HOURS
from tests.support.builders import Warehouse, opened_warehouse

SEEDS = range(4 if settings.get_current_profile_name() == "default" else 200)
START = datetime(2026, 3, 2, 14, tzinfo=UTC)
AFTERWARDS = START + timedelta(days=3)
ROUGH = Faults(delay_s=30, late=0.1, late_s=1800, duplicates=0.2)
LOSSY = replace(ROUGH, drops=0.03)
BATCH = 97


def a_world(seed: int) -> World:
    """A few minutes of a center in which everything happens often."""
    plan = Plan.medium()
    habits = replace(
        plan.habits,
        no_pickup=0.2,
        hangup_while_ringing=0.3,
        keep_after_hangup=0.4,
        leave=0.2,
        transfer=0.2,
        hold=0.5,
        conference=0.5,
        conference_limit_s=400,
        rejoin=0.4,
        supervisor=0.3,
        floor_s=8,
        recording=0.5,
        announcement=0.7,
        assistant=0.4,
        music=0.4,
        machine_detection=0.4,
        call_recording=0.4,
        cost=0.6,
        api_v1=0.1,
    )
    plan = replace(plan, habits=habits)
    return simulate(plan, seed=seed, start=START, duration=timedelta(minutes=6))


def a_recent_world(begin: datetime, duration: timedelta) -> World:
    """The same center from `begin` on, as busy as it ever is: at whatever hour tests run, somebody calls."""
    plan = a_world(3).plan
    busiest = tuple(
        replace(queue, calls_per_hour=(max(queue.calls_per_hour),) * HOURS, agents=(max(queue.agents),) * HOURS)
        for queue in plan.queues
    )
    return simulate(replace(plan, queues=busiest), seed=3, start=begin, duration=duration)


def landed(warehouse: Warehouse, world: World, faults: Faults) -> set[str]:
    """Land what is delivered, every other batch read ahead; returns the ids of the events that arrived."""
    deliveries = iter(deliver(world.events, faults, seed=world.seed))
    arrived: set[str] = set()
    ahead = False
    while batch := list(islice(deliveries, BATCH)):
        bodies = [delivery.body for delivery in batch]
        warehouse.land_bodies(bodies, now=AFTERWARDS, received=AFTERWARDS, ahead=ahead)
        arrived |= {delivery.event_id for delivery in batch}
        ahead = not ahead
    return arrived


def in_order(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """By everything, as text; rows are equal by value."""
    return sorted((tuple(row) for row in rows), key=lambda row: [str(value) for value in row if value is not None])


def found(warehouse: Warehouse, table: str) -> list[tuple[Any, ...]]:
    """The table, in the columns that the truth has."""
    names = ", ".join(getattr(TABLES[table], "_fields"))  # noqa: B009 # a NamedTuple's, which its type does not tell
    return in_order(warehouse.db.execute(f"select {names} from {table}").fetchall())


def rows(truth: Truth, table: str) -> list[tuple[Any, ...]]:
    """What is true, in the same form."""
    return in_order(getattr(truth, table))


@pytest.mark.parametrize("seed", SEEDS)
def test_facts_are_what_happened_however_late_and_often_it_was_told(seed: int) -> None:
    world = a_world(seed)
    with opened_warehouse() as warehouse:
        landed(warehouse, world, ROUGH)
        for table in TABLES:
            assert found(warehouse, table) == rows(world.truth, table), table
        assert world.truth.calls


@pytest.mark.parametrize("seed", SEEDS)
def test_facts_that_rest_on_no_lost_webhook_are_what_happened(seed: int) -> None:
    world = a_world(seed)
    with opened_warehouse() as warehouse:
        arrived = landed(warehouse, world, LOSSY)
        intact = world.truth.intact(world.events, arrived)
        for table in TABLES:
            there = found(warehouse, table)
            missing = [row for row in rows(intact, table) if row not in there]
            assert not missing, table
        assert 0 < len(intact.calls) < len(world.truth.calls)
