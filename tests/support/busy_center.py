"""A simulated center's warehouse, in which everything happens often, for tests of reports and their pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reports.source import Source
from simulator import (
    Faults,
    Plan,
    deliver,
    simulate,
)
from tests.support.builders import opened_warehouse
from warehouse.catalog import describe

START = datetime(2026, 3, 2, 14, tzinfo=UTC)
LENGTH = timedelta(minutes=50)
AFTERWARDS = START + timedelta(days=2)


@contextmanager
def a_busy_center() -> Iterator[Source]:
    """Yield the warehouse of 50 minutes from START on, views included, as it is two days later."""
    habits = replace(
        Plan.medium().habits,
        keep_after_hangup=0.4,
        conference=0.5,
        rejoin=0.4,
        hold=0.5,
        recording=0.5,
        call_recording=0.3,
        cost=0.7,
        machine_detection=0.3,
        no_pickup=0.1,
    )
    world = simulate(replace(Plan.medium(), habits=habits), seed=3, start=START, duration=LENGTH)
    with opened_warehouse() as warehouse:
        bodies = [delivery.body for delivery in deliver(world.events, Faults(delay_s=5), seed=3)]
        warehouse.land_bodies(bodies, now=AFTERWARDS, received=AFTERWARDS)
        describe(warehouse.db)
        yield Source(warehouse.db)
