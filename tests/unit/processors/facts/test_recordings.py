"""The rules of METRICS for recordings, one hard case each."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import (
    CONNECTION,
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


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def a_call_recording(begun: float, ended: float, *, saved: float = 60) -> Event:
    said: dict[str, Any] = {
        "channels": "single",
        "recording_started_at": stamp(NOON + seconds(begun)),
        "recording_ended_at": stamp(NOON + seconds(ended)),
        "recording_urls": {"mp3": "https://example.com/secret", "wav": None},
    }
    return a_call(at=NOON).told("call.recording.saved", after=saved, **said).events[0]


def test_a_conferences_recording_is_one_row_with_all_that_was_said(warehouse: Warehouse) -> None:
    warehouse.land(a_conference("room").created().joined("ann", 1).recorded(2, 9.25).left("ann", 10).ended(10))
    row = warehouse.only("recordings")
    assert {name: row[name] for name in row if not name.startswith("entity")} == {
        "recording_id": "room-recording-2",
        "kind": "conference",
        "conference_id": "room",
        "call_control_id": "v3:host",
        "call_leg_id": "host",
        "call_session_id": "session-of-host",
        "connection_id": CONNECTION,
        "started_at": NOON + seconds(2),
        "ended_at": NOON + seconds(9.25),
        "duration_ms": 7_250,
        "channels": "dual",
        "format": "mp3",
        "source": "webhook",
        "revision": 5,
        "origins": "webhook",
    }
    assert warehouse.only("conferences")["recordings"] == 1


def test_a_calls_recording_goes_by_the_event_that_told_of_it(warehouse: Warehouse) -> None:
    warehouse.land(a_call_recording(1, 41))
    row = warehouse.only("recordings")
    assert {name: row[name] for name in row if not name.startswith("entity")} == {
        "recording_id": "ann-00",
        "kind": "call",
        "conference_id": None,
        "call_control_id": "v3:ann",
        "call_leg_id": "ann",
        "call_session_id": "session-of-ann",
        "connection_id": CONNECTION,
        "started_at": NOON + seconds(1),
        "ended_at": NOON + seconds(41),
        "duration_ms": 40_000,
        "channels": "single",
        "format": None,
        "source": "webhook",
        "revision": 1,
        "origins": "webhook",
    }
    assert warehouse.rows("calls") == []


def test_addresses_of_recordings_are_in_no_fact(warehouse: Warehouse) -> None:
    warehouse.land(a_call_recording(1, 41), a_conference().recorded(1, 2))
    assert "example.com" not in repr(warehouse.facts())


def test_a_recording_that_ends_before_it_begins_has_no_duration(warehouse: Warehouse) -> None:
    three_years = 3 * 365 * 86_400
    warehouse.land(a_conference().recorded(0, -three_years), a_call_recording(9, 1))
    assert [row["duration_ms"] for row in warehouse.dicts("recordings")] == [None, None]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_recording_told_twice_is_one_as_told_last(warehouse: Warehouse, backwards: bool) -> None:
    first = a_conference().recorded(0, 5).events[0]
    again = a_conference().recorded(0, 6).events[0].but(event_id="another").saying(channels="single")
    for event in (again, first) if backwards else (first, again):
        warehouse.land(event)
    row = warehouse.only("recordings")
    assert (row["duration_ms"], row["channels"], row["revision"]) == (6_000, "single", 2)


@pytest.mark.parametrize("said", ["yesterday", "", None, 17, ["2026-02-03"], {"at": 1}, "9999-12-31T00:00:00Z"])
def test_a_time_that_nobody_can_believe_is_none(warehouse: Warehouse, said: Any) -> None:
    warehouse.land(a_call_recording(1, 41).saying(recording_started_at=said))
    row = warehouse.only("recordings")
    assert (row["started_at"], row["ended_at"], row["duration_ms"]) == (None, NOON + seconds(41), None)


def test_a_payload_without_anything_is_a_recording_of_which_nothing_is_known(warehouse: Warehouse) -> None:
    warehouse.land(b'{"data":{"id":"x","event_type":"call.recording.saved","payload":[1]}}')
    row = warehouse.only("recordings")
    assert (row["recording_id"], row["started_at"], row["channels"], row["revision"]) == ("x", None, None, 1)
