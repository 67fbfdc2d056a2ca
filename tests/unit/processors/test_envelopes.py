"""From bytes to columns: every shape in which Telnyx tells of an event, and where it tells the time."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import (
    CONNECTION,
    LATER,
    NOON,
    SHAPES,
    Event,
    Shape,
    Warehouse,
    a_call,
    a_conference,
    opened_warehouse,
)

AT = NOON + timedelta(seconds=41, microseconds=123_456)


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        yield opened


def an_enqueue() -> Event:
    return a_call("ann").queued(at=AT, position=3).events[0]


def a_floor_change() -> Event:
    return a_conference("room", start=AT).floor("ann", 0).events[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("event", [an_enqueue(), a_floor_change()], ids=lambda event: event.event_type)
def test_every_shape_says_the_same(warehouse: Warehouse, event: Event, shape: Shape) -> None:
    warehouse.land(event.but(shape=shape))
    row = warehouse.only("events")
    common = {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "occurred_at": AT,
        "call_control_id": "v3:ann",
        "call_leg_id": "ann",
        "call_session_id": "session-of-ann",
        "connection_id": CONNECTION,
        "conference_id": event.payload.get("conference_id"),
        "queue": event.payload.get("queue"),
        "position": event.payload.get("current_position"),
        "received_at": NOON,
        "stored_at": LATER,
        "origin": "webhook",
        "verified": True,
        "log_partition": 0,
        "log_offset": 1,
    }
    assert {name: row[name] for name in common} == common
    payload = json.loads(row["payload"])
    assert {name: payload[name] for name in event.payload} == event.payload


@pytest.mark.parametrize(
    ("event", "source"),
    [
        (an_enqueue(), "occurred_at"),
        (an_enqueue().but(misplaced=True), "payload.occurred_at"),
        (a_floor_change(), "payload.occurred_at"),
        (a_floor_change().but(misplaced=True), "occurred_at"),
        (a_conference(start=AT).created().events[0], "payload.occurred_at"),
        (a_conference(start=AT).created().events[0].but(misplaced=True, shape="wrapped"), "occurred_at"),
        (an_enqueue().but(shape="v1"), "created_at"),
        (a_conference(start=AT).recorded(-60, 0).events[0], "payload.recording_ended_at"),
    ],
)
def test_the_time_is_found_where_it_is_and_its_place_is_kept(warehouse: Warehouse, event: Event, source: str) -> None:
    warehouse.land(event)
    row = warehouse.only("events")
    assert (row["occurred_at"], row["occurred_at_source"]) == (AT, source)


@pytest.mark.parametrize("said", [None, "", "yesterday", "0000-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "infinity"])
def test_an_event_without_a_credible_time_has_that_of_its_receipt(warehouse: Warehouse, said: str | None) -> None:
    body = json.loads(an_enqueue().body())
    body["data"]["occurred_at"] = said
    warehouse.land(json.dumps(body).encode(), received=NOON + timedelta(seconds=5))
    row = warehouse.only("events")
    assert (row["occurred_at"], row["occurred_at_source"]) == (NOON + timedelta(seconds=5), "received_at")


@pytest.mark.parametrize("said", ["2026-02-03T06:00:41.123456-06:00", "2026-02-03 12:00:41.123456+00"])
def test_an_instant_is_the_same_in_any_notation(warehouse: Warehouse, said: str) -> None:
    warehouse.land(an_enqueue().body().replace(b"2026-02-03T12:00:41.123456Z", said.encode()))
    row = warehouse.only("events")
    assert (row["occurred_at"], row["occurred_at_source"]) == (AT, "occurred_at")


def test_a_saved_recording_without_any_time_counts_for_its_conference(warehouse: Warehouse) -> None:
    room = list(a_conference().created().recorded(1, 5).ended(9))
    room[1] = room[1].without("recording_started_at", "recording_ended_at")
    warehouse.land(room)
    row = warehouse.only("conferences")
    assert (row["recordings"], row["duration_ms"], row["revision"]) == (1, 9_000, 3)


@pytest.mark.parametrize("together", [True, False])
def test_an_event_without_any_time_is_stored_once_however_often_received(warehouse: Warehouse, together: bool) -> None:
    saved = a_conference().recorded(1, 5).events[0].without("recording_started_at", "recording_ended_at")
    bodies = [saved.body(attempt=attempt) for attempt in (1, 2, 3)]
    moments = [NOON, NOON + timedelta(hours=1), NOON + timedelta(days=3)]
    if together:
        warehouse.land_bodies(bodies, received=moments)
    else:
        for body, moment in zip(bodies, moments, strict=True):
            warehouse.land(body, received=moment)
    assert warehouse.only("events")["occurred_at"] == NOON
    assert warehouse.only("conferences")["recordings"] == 1
    warehouse.rebuild()
    assert warehouse.only("conferences")["recordings"] == 1


def test_a_retry_is_the_same_event_although_its_bytes_differ(warehouse: Warehouse) -> None:
    event = an_enqueue()
    assert event.body(attempt=2) != event.body()
    first = warehouse.land(event)
    again = warehouse.land(event.body(attempt=2), event.body(attempt=3))
    assert (first.events, again.events, again.duplicates) == (1, 0, 2)
    assert warehouse.only("events")["log_offset"] == 1


def test_an_event_from_another_source_of_history_is_the_same_event(warehouse: Warehouse) -> None:
    for shape in SHAPES:
        warehouse.land(an_enqueue().but(shape=shape))
    assert len(warehouse.dicts("events")) == 1
    assert len(warehouse.dicts("queue_visits")) == 1


def test_an_event_of_a_type_that_nobody_knows_is_kept(warehouse: Warehouse) -> None:
    landed = warehouse.land(an_enqueue().but(event_type="call.teleported"))
    assert warehouse.only("events")["event_type"] == "call.teleported"
    assert landed.facts == {}


def test_numbers_may_be_written_as_text(warehouse: Warehouse) -> None:
    _, dequeued = a_call().queued(at=NOON).dequeued("timeout", after=41)
    warehouse.land(dequeued.saying(wait_time_secs="41", queue_position="7", connection_id=17))
    visit = warehouse.only("queue_visits")
    assert (visit["reported_wait_secs"], visit["position_out"], visit["connection_id"]) == (41, 7, "17")


@pytest.mark.parametrize("wait", [-1, 31_536_001, 10**30, "soon", True, [41], {"secs": 41}, None])
def test_a_wait_that_nobody_can_have_waited_is_none(warehouse: Warehouse, wait: Any) -> None:
    _, dequeued = a_call().queued(at=NOON).dequeued("timeout", after=41)
    warehouse.land(dequeued.saying(wait_time_secs=wait))
    visit = warehouse.only("queue_visits")
    if wait is True:  # a truth is a number to many; it is at least a small one
        assert visit["reported_wait_secs"] in (None, 1)
    else:
        assert (visit["reported_wait_secs"], visit["enqueued_at"], visit["outcome"]) == (None, None, "timed_out")


@pytest.mark.parametrize("payload", ["text", [1, 2], 17, True, None, {}])
def test_a_payload_of_a_wrong_type_says_nothing_and_lands(warehouse: Warehouse, payload: Any) -> None:
    body = json.loads(an_enqueue().body())
    body["data"]["payload"] = payload
    landed = warehouse.land(json.dumps(body).encode())
    assert (landed.events, landed.rejected) == (1, 0)
    row = warehouse.only("events")
    assert (row["queue"], row["call_leg_id"], row["entity"]) == (None, None, row["event_id"])


def test_a_live_payload_has_more_fields_than_are_documented(warehouse: Warehouse) -> None:
    warehouse.land(an_enqueue().saying(telnyx_error=None, from_sip_uri="x@192.0.2.1", tags=["a"], more={"b": [None]}))
    assert json.loads(warehouse.only("events")["payload"])["more"] == {"b": [None]}


def test_what_the_common_call_events_say_has_columns(warehouse: Warehouse) -> None:
    warehouse.land(a_call().initiated(at=NOON).hung_up(after=9))
    said = [
        tuple(row[name] for name in ("direction", "from_number", "to_number", "reason", "hangup_source"))
        for row in warehouse.dicts("events")
    ]
    assert said == [
        ("incoming", "+12025550133", "+12025550131", None, None),
        (None, "+12025550133", "+12025550131", "normal_clearing", "caller"),
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_payload_of_a_rare_type_is_kept_beside_the_body_in_every_shape(warehouse: Warehouse, shape: Shape) -> None:
    saved = a_conference(start=AT).recorded(-60, 0).events[0]
    warehouse.land(saved.but(shape=shape), an_enqueue())
    kept = warehouse.db.execute("select event_type, details from stored_events order by event_type").fetchall()
    assert [event_type for event_type, _ in kept] == ["call.enqueued", "conference.recording.saved"]
    assert (kept[0][1], json.loads(kept[1][1])) == (None, saved.payload)
