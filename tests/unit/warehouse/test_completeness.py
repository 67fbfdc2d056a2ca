"""The view `completeness`: what is known, what is proved to be missing, and what contradicts itself."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from tests.builders import NOON, Event, Warehouse, a_call, a_conference, a_warehouse
from warehouse.catalog import describe

DAY = date(2026, 2, 3)
NOTHING = {"heard": 0, "reconciled": 0, "replayed": 0, "missing": 0, "contradictions": 0}


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    opened = a_warehouse()
    describe(opened.db)
    yield opened
    opened.db.close()


def counts(warehouse: Warehouse, event_type: str, day: date = DAY) -> dict[str, int]:
    rows = [row for row in warehouse.dicts("completeness") if row["event_type"] == event_type and row["day"] == day]
    return {name: sum(row[name] for row in rows) for name in NOTHING}


def test_what_was_heard_is_counted_by_day_queue_and_type(warehouse: Warehouse) -> None:
    warehouse.land(a_call("ann").queued(at=NOON, queue="sales").answered(after=40).talked(60))
    (row,) = [row for row in warehouse.dicts("completeness") if row["event_type"] == "call.enqueued"]
    assert (row["day"], row["queue"], row["heard"], row["score"]) == (DAY, "sales", 1, 1.0)
    assert (row["checked_hours"], row["rests_on"], row["down_ms"]) == (0, "webhooks", 0)


def test_a_dequeue_proves_the_enqueue_that_nobody_told(warehouse: Warehouse) -> None:
    warehouse.land(list(a_call("ann").queued(at=NOON).answered(after=40))[1:])
    assert counts(warehouse, "call.enqueued") == NOTHING | {"missing": 1}
    assert counts(warehouse, "call.dequeued") == NOTHING | {"heard": 1, "contradictions": 1}


def test_a_hangup_proves_the_dequeue_that_nobody_told(warehouse: Warehouse) -> None:
    warehouse.land(
        [each for each in a_call("ann").queued(at=NOON).hung_up(after=9) if each.event_type != "call.dequeued"]
    )
    assert counts(warehouse, "call.dequeued") == NOTHING | {"missing": 1}


def test_who_still_waits_misses_nothing(warehouse: Warehouse) -> None:
    warehouse.land(a_call("ann").queued(at=NOON))
    assert counts(warehouse, "call.dequeued") == NOTHING


def test_what_the_reconciler_found_is_told_from_what_was_heard_and_a_webhook_is_better(warehouse: Warehouse) -> None:
    bodies = [event.body() for event in a_call("ann").queued(at=NOON)]
    warehouse.land_bodies(bodies, origin="reconciler")
    assert counts(warehouse, "call.enqueued") == NOTHING | {"reconciled": 1}
    warehouse.land_bodies(bodies)
    assert counts(warehouse, "call.enqueued") == NOTHING | {"heard": 1}


def test_a_conference_that_was_seen_completed_proves_its_webhooks(warehouse: Warehouse) -> None:
    seen = Event(
        "seen",
        "reconciler.conference.observed",
        NOON,
        {"conference_id": "room", "status": "completed", "created_at": NOON.isoformat()},
    )
    warehouse.land(seen)
    assert counts(warehouse, "conference.created") == NOTHING | {"missing": 1}
    assert counts(warehouse, "conference.ended") == NOTHING | {"missing": 1}
    warehouse.land(a_conference("room").created().ended(10))
    assert counts(warehouse, "conference.created") == NOTHING | {"heard": 1}
    assert counts(warehouse, "conference.ended") == NOTHING | {"heard": 1}


def test_a_wait_that_is_not_telnyxs_own_is_a_contradiction(warehouse: Warehouse) -> None:
    enqueued, dequeued = list(a_call("ann").queued(at=NOON).answered(after=40))[:2]
    warehouse.land(enqueued, dequeued.saying(wait_time_secs=37))
    assert counts(warehouse, "call.dequeued")["contradictions"] == 1


def test_a_place_behind_people_of_whom_nobody_told_is_a_contradiction(warehouse: Warehouse) -> None:
    warehouse.land(
        a_call("ann").queued(at=NOON, position=1), a_call("bob").queued(at=NOON + timedelta(seconds=1), position=4)
    )
    assert counts(warehouse, "call.enqueued") == NOTHING | {"heard": 2, "contradictions": 1}


def test_windows_and_outages_are_told_by_the_day(warehouse: Warehouse) -> None:
    window = {"source": "call_events", "start": "2026-02-03T04:00:00Z", "end": "2026-02-03T09:00:00Z"}
    outage = {"start": "2026-02-02T23:59:00Z", "end": "2026-02-03T00:02:00Z"}
    warehouse.land(
        a_call("ann").queued(at=NOON),
        Event("window", "reconciler.window.completed", NOON - timedelta(hours=8), window),
        Event("down", "reconciler.ingest.down", NOON - timedelta(hours=12, minutes=1), outage),
    )
    (row,) = warehouse.dicts("completeness")
    assert (row["checked_hours"], row["rests_on"]) == (5, "webhooks, call_events (5 h)")
    assert row["down_ms"] == 120_000
