"""The view `completeness`: what is known, what is proved to be missing, and what contradicts itself."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest

from tests.support.builders import (
    NOON,
    Event,
    Warehouse,
    a_call,
    a_conference,
    a_warehouse,
)
from warehouse.catalog import describe

DAY = date(2026, 2, 3)
NOTHING = {"heard": 0, "reconciled": 0, "replayed": 0, "missing": 0, "contradictions": 0}


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    opened = a_warehouse()
    describe(opened.db)
    yield opened
    opened.db.close()


KINDS = ("wait_differences", "lone_dequeues", "position_gaps", "rivals")


def kinds(warehouse: Warehouse) -> dict[str, int]:
    """Of each kind of contradiction, how many; those that there are none of left out."""
    rows = warehouse.dicts("completeness")
    assert all(row["contradictions"] == sum(row[kind] for kind in KINDS) for row in rows)
    return {kind: total for kind in KINDS if (total := sum(row[kind] for row in rows))}


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
    assert kinds(warehouse) == {"lone_dequeues": 1}


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
    assert kinds(warehouse) == {"wait_differences": 1}


def test_an_id_with_two_contents_is_a_contradiction(warehouse: Warehouse) -> None:
    (told,) = a_call("ann").queued(at=NOON)
    warehouse.land(told, told.saying(queue="another"))
    assert kinds(warehouse) == {"rivals": 1}


def test_a_place_behind_people_of_whom_nobody_told_is_a_contradiction(warehouse: Warehouse) -> None:
    warehouse.land(
        a_call("ann").queued(at=NOON, position=1), a_call("bob").queued(at=NOON + timedelta(seconds=5), position=4)
    )
    assert counts(warehouse, "call.enqueued") == NOTHING | {"heard": 2, "contradictions": 1}
    assert kinds(warehouse) == {"position_gaps": 1}


def test_who_comes_and_goes_at_once_may_be_counted_in_any_order(warehouse: Warehouse) -> None:
    warehouse.land(
        list(a_call("ann").queued(at=NOON, position=1).answered(after=30)),
        a_call("bob").queued(at=NOON + timedelta(seconds=30.4), position=2),
        a_call("cy").queued(at=NOON + timedelta(seconds=30.9), position=2),
    )
    assert kinds(warehouse) == {}


def test_who_was_never_seen_to_leave_may_be_ahead_no_longer_than_anybody_can_wait(warehouse: Warehouse) -> None:
    warehouse.land(
        a_call("ann").queued(at=NOON, position=1),
        a_call("bob").queued(at=NOON + timedelta(hours=23), position=2),
        a_call("cy").queued(at=NOON + timedelta(hours=50), position=2),
        now=NOON + timedelta(days=9),
    )
    assert kinds(warehouse) == {"position_gaps": 1}


def window(source: str, hours: int) -> Event:
    start, end = DAY.isoformat() + "T04:00:00Z", DAY.isoformat() + f"T{4 + hours:02}:00:00Z"
    said = {"source": source, "start": start, "end": end}
    return Event(f"window-{source}-{hours}", "reconciler.window.completed", NOON - timedelta(hours=8), said)


def test_what_a_row_rests_on_are_the_lists_that_tell_of_its_events(warehouse: Warehouse) -> None:
    warehouse.land(
        a_call("ann").queued(at=NOON),
        a_conference("room").created().joined("bob", 1),
        window("call_events", 5),
        window("webhook_deliveries", 3),
        window("detail_records", 9),
        window("conferences", 8),
    )
    originals = "webhooks, call_events (5 h), webhook_deliveries (3 h)"
    assert {row["event_type"]: (row["checked_hours"], row["rests_on"]) for row in warehouse.dicts("completeness")} == {
        "call.enqueued": (5, originals),
        "conference.created": (5, f"{originals}, conferences (8 h), detail_records (9 h)"),
        "conference.participant.joined": (5, f"{originals}, detail_records (9 h)"),
    }


def test_lists_of_states_check_no_hour(warehouse: Warehouse) -> None:
    warehouse.land(a_conference("room").created(), window("conferences", 8))
    (row,) = warehouse.dicts("completeness")
    assert (row["checked_hours"], row["rests_on"]) == (0, "webhooks, conferences (8 h)")


def down(start: str, end: str) -> Event:
    at = datetime.fromisoformat(start)
    return Event(f"down-{start}-{end}", "reconciler.ingest.down", at, {"start": start, "end": end})


def test_outages_are_told_by_the_day_and_what_two_of_them_cover_counts_once(warehouse: Warehouse) -> None:
    warehouse.land(
        a_call("ann").queued(at=NOON),
        down("2026-02-02T23:59:00Z", "2026-02-03T00:02:00Z"),
        down("2026-02-03T00:00:00Z", "2026-02-03T00:03:00Z"),
        down("2026-02-03T00:01:00Z", "2026-02-03T00:01:30Z"),
        down("2026-02-03T09:00:00Z", "2026-02-03T09:02:00Z"),
        down("2026-02-03T10:00:00Z", "no time"),
    )
    assert {(row["day"], row["event_type"], row["down_ms"]) for row in warehouse.dicts("completeness")} == {
        (DAY - timedelta(days=1), "reconciler.ingest.down", 60_000),
        (DAY, "reconciler.ingest.down", 300_000),
        (DAY, "call.enqueued", 300_000),
    }
