"""Whatever reads an envelope finds one event in it: Kafka's key, the reconciler, landing, the view `events`."""

import json

import pytest

from eventlog.kafka.records import address
from eventlog.kafka.topics import Layout
from eventlog.log import Record
from reconciler.found import original
from tests.support.builders import NOON, SHAPES, Event, Shape, opened_warehouse

SAVED = Event(
    "e1",
    "call.recording.saved",  # a type of which `details` keeps the payload
    NOON,
    {"call_control_id": "v3:ann", "call_leg_id": "ann", "call_session_id": "s1", "recording_id": "tape"},
)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_envelope_holds_one_event_whoever_unwraps_it(shape: Shape) -> None:
    body = SAVED.but(shape=shape).body()
    to = address(Record(body, 1), Layout())
    found = original(json.loads(body), otherwise=NOON)
    assert found is not None
    written = json.loads(found.body)["data"]
    with opened_warehouse() as warehouse:
        warehouse.land_bodies([body])
        event = warehouse.only("events")
        (details,) = warehouse.db.execute("select details from stored_events").fetchall()[0]
    assert (to.event_id, found.event_id, event["event_id"]) == ("e1", "e1", "e1")
    assert to.event_type == written["event_type"]
    assert event["event_type"] == SAVED.event_type
    assert to.key == event["call_session_id"].encode()
    assert found.at == event["occurred_at"]
    assert written["payload"].items() >= SAVED.payload.items()
    assert written["payload"] == json.loads(event["payload"]) == json.loads(details)
