"""By which clock a visit that nobody ended becomes unknown, and what a clock that is wrong does to it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from processors.landing.evaluation import (
    ENOUGH,
    last,
    witnessed_at,
)
from tests.support.builders import (
    LATER,
    NOON,
    Warehouse,
    a_call,
    bodies,
    opened_warehouse,
)

DAY = timedelta(days=1)
AHEAD = NOON + 400 * DAY
LONG_AGO = datetime(1985, 1, 1, tzinfo=UTC)


@pytest.fixture(name="warehouse")
def a_new_warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as warehouse:
        yield warehouse


def outcomes(warehouse: Warehouse) -> list[str]:
    return [visit["outcome"] for visit in warehouse.dicts("queue_visits")]


def many(at: datetime, name: str, count: int) -> list[bytes]:
    return bodies(*(a_call(f"{name}-{number}").queued(at=at) for number in range(count)))


@pytest.mark.parametrize("jump", [25 * DAY / 24, 400 * DAY, -DAY, -400 * DAY])
def test_what_a_jump_made_unknown_waits_again_and_what_it_made_wait_is_unknown_again(
    warehouse: Warehouse, jump: timedelta
) -> None:
    warehouse.land(a_call("old").queued(at=NOON - 2 * DAY), a_call("young").queued(at=NOON), now=LATER)
    assert outcomes(warehouse) == ["unknown", "waiting"]
    warehouse.land(now=LATER + jump)
    warehouse.land(now=LATER)
    assert outcomes(warehouse) == ["unknown", "waiting"]


def test_a_visit_that_was_seen_waiting_waits_again_too(warehouse: Warehouse) -> None:
    seen_at = (NOON + timedelta(hours=20)).isoformat()
    enqueued = a_call().queued(at=NOON).events[0]
    said = {"queue": "support", "enqueued_at": NOON.isoformat(), "seen_at": seen_at, "present": True}
    seen = enqueued.but(event_id="seen", event_type="reconciler.queue.call.observed").saying(**said)
    warehouse.land_bodies([enqueued.body(), seen.body()], now=NOON + DAY, origin=["webhook", "reconciler"])
    before = warehouse.facts()
    warehouse.land(now=AHEAD)
    assert outcomes(warehouse) == ["unknown"]
    warehouse.land(now=NOON + DAY)
    assert warehouse.facts() == before


def test_a_few_events_from_a_wrong_clock_hold_no_evaluation_back(warehouse: Warehouse) -> None:
    warehouse.land(a_call("ann").queued(at=NOON))
    warehouse.land_bodies(many(AHEAD, "ahead", 3), received=AHEAD, now=AHEAD)
    warehouse.land(now=LATER)
    assert last(warehouse.db) == LATER
    assert outcomes(warehouse)[0] == "waiting"


def test_a_clock_that_is_behind_what_many_events_say_is_not_believed(warehouse: Warehouse) -> None:
    warehouse.land_bodies(many(NOON, "early", ENOUGH), now=LATER)
    warehouse.land(now=NOON + DAY)
    warehouse.land_bodies(many(NOON + DAY, "late", 3), received=NOON + DAY, now=LONG_AGO)
    assert last(warehouse.db) == NOON, "as late as three of four events are"
    warehouse.rebuild(now=LONG_AGO)
    assert last(warehouse.db) == NOON
    warehouse.land(now=NOON + DAY)
    assert sorted(outcomes(warehouse)) == [*["unknown"] * ENOUGH, *["waiting"] * 3]


@pytest.mark.parametrize(("honest", "ahead", "believed"), [(30, 9, NOON), (10, 10, NOON), (1, 9, AHEAD)])
def test_what_three_of_four_of_the_last_events_say_has_certainly_come(
    warehouse: Warehouse, honest: int, ahead: int, believed: datetime
) -> None:
    assert witnessed_at(warehouse.db) is None
    warehouse.land_bodies(many(NOON, "right", honest))
    warehouse.land_bodies(many(AHEAD, "ahead", ahead), received=AHEAD)
    assert witnessed_at(warehouse.db) == believed
    assert witnessed_at(warehouse.db, enough=honest + ahead + 1) is None


@pytest.mark.parametrize("received", [AHEAD, LATER])
def test_an_event_says_the_earlier_of_its_senders_clock_and_ours(warehouse: Warehouse, received: datetime) -> None:
    occurred = NOON if received == AHEAD else AHEAD
    warehouse.land_bodies(many(occurred, "off", 3), received=received)
    assert witnessed_at(warehouse.db) == min(occurred, received)


def test_a_rebuild_evaluates_no_later_than_now(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON), now=AHEAD)
    warehouse.rebuild()
    assert outcomes(warehouse) == ["unknown"], "without a clock it is as it was"
    warehouse.rebuild(now=LATER)
    assert (outcomes(warehouse), last(warehouse.db)) == (["waiting"], LATER)
    warehouse.rebuild(now=AHEAD)
    assert (outcomes(warehouse), last(warehouse.db)) == (["waiting"], LATER), "and no later than it was"
