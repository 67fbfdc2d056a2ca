"""What is an event of ours, whatever is around it, and what is not."""

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.found import original
from reconciler.seen_events import ReplicaEvents
from tests.support.builders import NOON
from tests.support.reconciling import Center


def an_event(event_type: str, **payload: Any) -> dict[str, Any]:
    return {"id": "e", "event_type": event_type, "occurred_at": NOON.isoformat(), "payload": payload}


def deep(levels: int) -> object:
    nested: object = 1
    for _ in range(levels):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    "event",
    [
        an_event("call.hangup"),
        an_event("call_hangup"),
        an_event("conference.of.tomorrow"),
        an_event("streaming.started", call_leg_id="l"),
        an_event("of.tomorrow", conference_id="room"),
    ],
)
def test_what_is_of_a_call_or_a_conference_is_an_event_of_whatever_type(event: dict[str, Any]) -> None:
    bare, wrapped = original(event, otherwise=NOON), original({"data": event, "meta": {}}, otherwise=NOON)
    assert bare is not None
    assert wrapped == bare


@pytest.mark.parametrize(
    "event",
    [
        an_event("message.received", text="secret", **{"from": {"phone_number": "+12025550133"}}),
        an_event("number_order.complete"),
        an_event("reconciler.window.completed", call_leg_id="l", source="call_events"),
        an_event("call.hangup", wait=json.loads("1e999")),
        an_event("call.hangup", wait=json.loads("NaN")),
        an_event("call.hangup", text="\ud800"),
        an_event("call.hangup", deep=deep(sys.getrecursionlimit() * 2)),
        an_event("callback.of.somebody.else", call_leg_id=7),
        {"id": "e", "payload": {"call_leg_id": "l"}},
        "call.hangup",
        None,
    ],
)
def test_what_is_of_none_is_left_where_it_is(event: object) -> None:
    assert original(event, otherwise=NOON) is None


def test_what_says_no_time_is_known_again_by_its_id_however_late_it_was_found(tmp_path: Path) -> None:
    center = Center(tmp_path, NOON + timedelta(days=2))
    found = original({"id": "undated", "event_type": "call.of.tomorrow", "payload": {}}, otherwise=NOON)
    assert found is not None
    center.warehouse.land_bodies([found.body], origin="reconciler", now=center.at, received=center.at)
    center.publish()
    known = ReplicaEvents(tmp_path / "replica.duckdb")
    assert known.unseen([found]) == []
    known.close()
    center.close()
