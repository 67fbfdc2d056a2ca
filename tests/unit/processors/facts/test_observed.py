"""What the reconciler observed, one hard case each: times where webhooks have none, bounds where nobody has."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.builders import (
    NOON,
    Event,
    Warehouse,
    a_call,
    a_conference,
    opened_warehouse,
    stamp,
)


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        yield opened


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def of_room(kind: str, **said: Any) -> Event:
    return Event(
        f"observed-{kind}-{len(str(said))}",
        f"reconciler.conference.{kind}observed",
        NOON,
        {"conference_id": "room", **said},
    )


def record(**said: Any) -> Event:
    return of_room("record.", **said)


def person(leg: str, joined: float, left: float) -> Event:
    times = {"joined_at": stamp(at(joined)), "left_at": stamp(at(left))}
    said = {"call_leg_id": leg, "record_id": f"{leg}-{joined}-{left}", **times}
    return of_room("participant.record.", **said).but(event_id=f"record-of-{leg}-{joined}-{left}")


def waiting(leg: str, enqueued: datetime, *, seen: datetime, present: bool = True, queue: str = "support") -> Event:
    said = {"call_leg_id": leg, "call_control_id": f"v3:{leg}", "queue": queue, "present": present}
    said |= {"enqueued_at": stamp(enqueued), "seen_at": stamp(seen)}
    dated = seen if present else enqueued
    return Event(f"seen-{leg}-{seen:%d-%H-%M}-{present}", "reconciler.queue.call.observed", dated, said)


def test_a_webhooks_end_counts_before_a_records(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().ended(60.7), record(started_at=stamp(NOON), ended_at=stamp(at(60))))
    row = warehouse.only("conferences")
    assert (row["ended_at"], row["ended_at_source"], row["end_reason_source"]) == (at(60.7), "webhook", "webhook")


def test_that_a_conference_was_seen_completed_gives_it_no_end_but_a_bound(warehouse: Warehouse) -> None:
    warehouse.land(
        a_conference().created().joined("ann", 1),
        of_room("", status="completed", end_reason="host_left", updated_at=stamp(at(90)), ended_by="v3:ann"),
    )
    row = warehouse.only("conferences")
    assert (row["status"], row["ended_at"], row["duration_ms"], row["ended_at_latest"]) == (
        "completed",
        None,
        None,
        at(90),
    )
    assert (row["end_reason"], row["end_reason_source"], row["ended_by"]) == ("host_left", "rest", "v3:ann")
    stay = warehouse.only("participant_stays")
    assert (stay["left_at"], stay["left_at_latest"]) == (None, at(90))


def test_a_record_ends_the_stay_whose_leave_was_lost(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().joined("ann", 1.4).ended(60), person("ann", 1, 20))
    stay = warehouse.only("participant_stays")
    assert (stay["joined_at"], stay["joined_at_source"]) == (at(1.4), "webhook")
    assert (stay["left_at"], stay["left_at_source"]) == (at(20), "detail_record")


def test_a_record_that_ends_in_the_second_of_the_conferences_end_leaves_it_to_that(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().joined("ann", 1.4).ended(60.8), person("ann", 1, 60))
    stay = warehouse.only("participant_stays")
    assert (stay["left_at"], stay["left_at_source"]) == (at(60.8), "conference")


def test_a_record_of_whom_no_webhook_told_is_a_stay(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().joined("ann", 1).left("ann", 9).ended(60), person("bob", 5, 8))
    assert [row["joined_at_source"] for row in warehouse.dicts("participant_stays")] == ["webhook", "detail_record"]
    assert warehouse.only("conferences")["peak_participants"] == 2


def test_who_was_only_seen_has_a_stay_without_times(warehouse: Warehouse) -> None:
    seen = {"call_leg_id": "bob", "status": "left", "updated_at": stamp(at(30)), "participant_id": "p"}
    warehouse.land(a_conference().created(), of_room("participant.", **seen))
    stay = warehouse.only("participant_stays")
    assert (stay["joined_at"], stay["left_at"], stay["left_at_latest"]) == (None, None, at(30))


def test_a_call_that_is_gone_has_a_bound_and_neither_end_nor_wait(warehouse: Warehouse) -> None:
    warehouse.land(a_call("ann").queued(at=NOON), waiting("ann", NOON, seen=at(500), present=False))
    visit = warehouse.only("queue_visits")
    assert (visit["outcome"], visit["left_at"], visit["wait_ms"], visit["left_at_latest"]) == (
        "unknown",
        None,
        None,
        at(500),
    )


def test_the_dequeue_counts_whenever_it_comes(warehouse: Warehouse) -> None:
    enqueued, dequeued = list(a_call("ann").queued(at=NOON).answered(after=41))[:2]
    warehouse.land(enqueued, waiting("ann", NOON, seen=at(500), present=False))
    warehouse.land(dequeued)
    visit = warehouse.only("queue_visits")
    assert (visit["outcome"], visit["wait_ms"], visit["left_at_latest"]) == ("answered", 41_000, None)


def test_a_call_that_was_seen_waiting_waits_on_and_becomes_unknown_a_day_after_it(warehouse: Warehouse) -> None:
    seen = NOON + timedelta(hours=24)
    warehouse.land(a_call("ann").queued(at=NOON), now=NOON)
    warehouse.land(waiting("ann", NOON, seen=seen), now=NOON + timedelta(hours=30))
    assert warehouse.only("queue_visits")["outcome"] == "waiting"
    warehouse.land(now=seen + timedelta(hours=24))
    assert warehouse.only("queue_visits")["outcome"] == "unknown"


def test_a_call_seen_waiting_tells_the_enqueue_that_nobody_told(warehouse: Warehouse) -> None:
    dequeued = list(a_call("ann").queued(at=NOON).answered(after=41))[1]
    warehouse.land(dequeued, waiting("ann", NOON, seen=NOON))
    visit = warehouse.only("queue_visits")
    assert (visit["enqueued_at"], visit["enqueued_at_source"], visit["wait_ms"]) == (NOON, "rest", 41_000)


def test_the_same_event_with_its_json_written_otherwise_is_no_contradiction(warehouse: Warehouse) -> None:
    (event,) = a_call(at=NOON).told("call.cost", after=1, status="success", total_cost="0.0106").events
    told = json.loads(event.body())
    payload = dict(reversed(told["data"]["payload"].items()))
    again = json.dumps({"meta": {"attempt": 9}, "data": {**told["data"], "payload": payload}}, indent=2).encode()
    assert warehouse.land(event).events == 1
    landed = warehouse.land_bodies([again, json.dumps({"webhook": told["data"]}).encode()], origin="reconciler")
    assert (landed.duplicates, landed.contradictions) == (2, 0)
    assert warehouse.rows("contradictions") == []


@pytest.mark.parametrize("first", ["webhook", "reconciler", "replay"])
def test_origins_are_those_of_the_best_delivery_whichever_was_first(warehouse: Warehouse, first: str) -> None:
    body = a_call("ann").queued(at=NOON).events[0].body()
    for origin in (first, "replay", "reconciler"):
        warehouse.land_bodies([body], origin=origin)
    assert warehouse.only("queue_visits")["origins"] == ("webhook" if first == "webhook" else "reconciler")
    warehouse.land_bodies([body])
    assert warehouse.only("queue_visits")["origins"] == "webhook"
    before = warehouse.facts()
    warehouse.rebuild()
    assert warehouse.facts() == before


def times_of_stays(warehouse: Warehouse) -> list[tuple[float | None, float | None]]:
    """In seconds after noon, in the order of joining."""
    found = [(row["joined_at"], row["left_at"]) for row in warehouse.dicts("participant_stays")]
    return [tuple(each and (each - NOON).total_seconds() for each in times) for times in found]


@pytest.mark.parametrize("back", [1.1, 1.7, 2.4])
def test_a_record_is_of_the_nearest_stay_and_of_one(warehouse: Warehouse, back: float) -> None:
    room = a_conference().created().joined("ann", 0.3).joined("ann", back).ended(900)
    warehouse.land(room, person("ann", 0, 0), person("ann", int(back), 300))
    assert times_of_stays(warehouse) == [(0.3, 0.3), (back, 300)]  # a leave that is cut to before the join was then


def test_records_are_cut_so_the_second_counts_before_the_distance(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 0.95).joined("ann", 2.1).ended(900)
    warehouse.land(room, person("ann", 0, 1), person("ann", 2, 300), person("bob", 1, 4))
    assert times_of_stays(warehouse) == [(0.95, 1), (1, 4), (2.1, 300)]


def test_of_stays_in_one_second_the_first_has_the_first_record(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 5.1).joined("ann", 5.4).joined("ann", 5.9).ended(900)
    warehouse.land(room, person("ann", 5, 6), person("ann", 5, 300))
    assert times_of_stays(warehouse) == [(5.1, 6), (5.4, 300), (5.9, 900)]


def test_a_record_that_no_stay_is_left_for_is_one_of_its_own(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 4.2).left("ann", 8).ended(900)
    warehouse.land(room, person("ann", 4, 8), person("ann", 3, 3))
    assert times_of_stays(warehouse) == [(3, 3), (4.2, 8)]
    assert warehouse.only("conferences")["participants"] == 2


def recording_of_call(recording_id: str | None, began: float, *, listed: bool) -> Event:
    times = {"recording_started_at": stamp(at(began)), "recording_ended_at": stamp(at(began + 60))}
    said = {"call_leg_id": "ann", "recording_id": recording_id, **times}
    kind = "reconciler.call.recording.observed" if listed else "call.recording.saved"
    return Event(f"{kind}-{recording_id}-{began}", kind, at(began + 60), said)


def test_a_recording_in_the_list_is_one_that_was_heard_of_and_no_other(warehouse: Warehouse) -> None:
    warehouse.land(
        recording_of_call(None, 10.4, listed=False),
        recording_of_call("late", 10.9, listed=True),
        recording_of_call("same", 10.1, listed=True),
    )
    found = [(row["source"], row["started_at"]) for row in warehouse.dicts("recordings")]
    assert found == [("webhook", at(10.4)), ("rest", at(10.9))]


def test_a_call_seen_waiting_twice_within_a_second_visited_twice(warehouse: Warehouse) -> None:
    warehouse.land(
        a_call("ann").queued(at=at(0.1)).dequeued("timeout", after=0.2),
        waiting("ann", at(0.1), seen=at(0.1)).but(event_id="seen-first"),
        waiting("ann", at(0.8), seen=at(60)).but(event_id="seen-again"),
    )
    found = [(row["enqueued_at_source"], row["seen_waiting_at"]) for row in warehouse.dicts("queue_visits")]
    assert found == [("observed", None), ("rest", at(60))]


def test_that_a_call_is_gone_bounds_the_nearest_visit_and_no_other(warehouse: Warehouse) -> None:
    enqueued = [*a_call("ann").queued(at=at(0.2)), *a_call("ann").queued(at=at(0.9))]
    again = [enqueued[0], enqueued[1].but(event_id="again")]
    warehouse.land(again, waiting("ann", at(0.9), seen=at(500), present=False))
    found = [(row["enqueued_at"], row["left_at_latest"]) for row in warehouse.dicts("queue_visits")]
    assert found == [(at(0.2), at(0.9)), (at(0.9), at(500))]


def test_a_join_and_a_leave_that_two_records_tell_of_are_of_two_stays(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 1.3).left("ann", 90.4).ended(900)
    warehouse.land(room, person("ann", 1, 40), person("ann", 60, 90))
    assert times_of_stays(warehouse) == [(1.3, 40), (60, 90.4)]
    conference = warehouse.only("conferences")
    assert (conference["participants"], conference["peak_participants"]) == (2, 1)


def test_a_record_of_all_of_a_stay_keeps_it_whole(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 1.3).left("ann", 90.4).ended(900)
    warehouse.land(room, person("ann", 0, 1), person("ann", 1, 90))
    assert times_of_stays(warehouse) == [(0, 1), (1.3, 90.4)]


def test_short_stays_next_to_each_other_are_two_all_the_same(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 1.2).left("ann", 3.7).ended(900)
    warehouse.land(room, person("ann", 1, 2), person("ann", 3, 3))
    assert times_of_stays(warehouse) == [(1.2, 2), (3, 3.7)]
