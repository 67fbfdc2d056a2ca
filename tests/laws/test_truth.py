"""The law of the whole: a center that knows what happened in it, its webhooks as badly delivered as may be, and facts.

The simulator imports none of the stages, so it judges them all: every row of every fact table, in every column that
what happened determines, and no other row.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import islice

import pytest

from simulator import (
    TABLES,
    Faults,
    World,
    deliver,
)
from tests.support.builders import Warehouse, opened_warehouse
from tests.support.effort import EVERY_DAY
from tests.support.worlds import START, a_world, found, rows

SEEDS = range(2 if EVERY_DAY else 200)
AFTERWARDS = START + timedelta(days=3)
ROUGH = Faults(delay_s=30, late=0.1, late_s=1800, duplicates=0.2)
LOSSY = replace(ROUGH, drops=0.03)
BATCH = 97


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


@pytest.mark.parametrize("seed", SEEDS)
def test_facts_are_what_happened_however_late_and_often_it_was_told(seed: int) -> None:
    world = a_world(seed)
    with opened_warehouse() as warehouse:
        landed(warehouse, world, ROUGH)
        for table in TABLES:
            assert found(warehouse.db, table) == rows(world.truth, table), table
        assert world.truth.calls


@pytest.mark.parametrize("seed", SEEDS)
def test_facts_that_rest_on_no_lost_webhook_are_what_happened(seed: int) -> None:
    world = a_world(seed)
    with opened_warehouse() as warehouse:
        arrived = landed(warehouse, world, LOSSY)
        intact = world.truth.intact(world.events, arrived)
        for table in TABLES:
            there = found(warehouse.db, table)
            missing = [row for row in rows(intact, table) if row not in there]
            assert not missing, table
        assert 0 < len(intact.calls) < len(world.truth.calls)
