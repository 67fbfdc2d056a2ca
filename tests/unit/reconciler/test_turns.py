"""When it is time again: after a while, and at once after ingest was down."""

import asyncio
from datetime import timedelta
from pathlib import Path

from reconciler.outage import between
from reconciler.seen_events import ReplicaEvents
from reconciler.turns import POLL_S, next_turn
from tests.support.builders import NOON
from tests.support.reconciling import Center

HOUR_S = 3600.0


def slept(center: Center) -> float:
    """For how long nobody reconciles after noon, if the next turn is due in an hour."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    known = ReplicaEvents(center.folder / "replica.duckdb")
    asyncio.run(next_turn(known, NOON, lambda: NOON + timedelta(hours=1), every_s=HOUR_S, sleep=sleep))
    known.close()
    return sum(waits)


def test_where_nothing_happens_the_next_turn_is_due_when_it_is(tmp_path: Path) -> None:
    center = Center(tmp_path, NOON)
    assert slept(center) == HOUR_S
    center.close()


def test_an_outage_that_ended_since_is_due_at_once_and_one_before_is_not(tmp_path: Path) -> None:
    center = Center(tmp_path, NOON)
    before = between(NOON - timedelta(minutes=9), NOON - timedelta(minutes=1))
    since = between(NOON - timedelta(minutes=9), NOON + timedelta(minutes=4))
    assert before is not None
    assert since is not None
    center.warehouse.land_bodies([before.body], origin="reconciler", now=NOON)
    center.publish()
    assert slept(center) == HOUR_S
    center.warehouse.land_bodies([since.body], origin="reconciler", now=NOON)
    center.publish()
    assert slept(center) == POLL_S
    center.close()
