"""The webhooks have Telnyx's shapes; and a plain reading of them, kept here, arrives at the simulation's truth."""

import base64
import json
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from simulator import (
    Event,
    Plan,
    World,
    simulate,
)
from simulator.telnyx import attempt

LEG = {"call_control_id", "call_leg_id", "call_session_id", "client_state", "connection_id"}
CALL = LEG | {"from", "to"}
ROOM = LEG | {"conference_id"}
SAID = {"occurred_at", "creator_call_session_id", "conference_id", "connection_id"}
MEDIA = {"media_url", "media_name"}
INITIATED = CALL | {"direction", "state", "start_time", "caller_id_name", "connection_codecs", "offered_codecs"}
INBOUND = {"calling_party_type", "from_sip_uri", "to_sip_uri"}
HANGUP = CALL | {
    *("start_time", "end_time", "state", "hangup_cause", "hangup_source", "sip_hangup_cause"),
    *("call_quality_stats", "telnyx_error"),
}
RECORDING = {
    *("call_control_id", "call_session_id", "client_state", "connection_id", "conference_id", "format", "recording_id"),
    *("channels", "recording_started_at", "recording_ended_at", "recording_urls", "public_recording_urls"),
}
RECORDED = {"channels", "recording_started_at", "recording_ended_at", "recording_urls", "public_recording_urls"}
PAYLOADS = {
    "call.conversation.ended": CALL | {"assistant_id", "duration_sec", "reason", "llm_model"},
    "call.cost": LEG | {"status", "total_cost", "billed_duration_secs", "cost_parts", "occurred_at"},
    "call.machine.detection.ended": CALL | {"result"},
    "call.machine.premium.detection.ended": CALL | {"result"},
    "call.playback.started": LEG | MEDIA,
    "call.playback.ended": LEG | MEDIA,
    "call.recording.saved": LEG | RECORDED,
    "call.speak.started": LEG,
    "call.speak.ended": LEG,
    "call.answered": CALL | {"start_time", "state"},
    "call.bridged": CALL,
    "call.hold": CALL,
    "call.unhold": CALL,
    "call.hangup": HANGUP,
    "call.enqueued": LEG | {"queue", "current_position", "queue_avg_wait_time_secs"},
    "call.dequeued": LEG | {"queue", "queue_position", "reason", "wait_time_secs"},
    "conference.created": ROOM | {"occurred_at"},
    "conference.ended": ROOM | {"occurred_at", "reason"},
    "conference.floor.changed": ROOM | {"occurred_at"},
    "conference.participant.joined": ROOM,
    "conference.participant.left": ROOM,
    "conference.recording.saved": RECORDING,
    "conference.playback.started": SAID | MEDIA,
    "conference.playback.ended": SAID | MEDIA,
    "conference.speak.started": SAID,
    "conference.speak.ended": SAID,
    "conference.participant.playback.started": SAID | LEG | MEDIA,
    "conference.participant.playback.ended": SAID | LEG | MEDIA,
    "conference.participant.speak.started": SAID | LEG,
    "conference.participant.speak.ended": SAID | LEG,
}
MICROSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def a_world(**habits: float) -> World:
    plan = Plan.medium()
    often = {"assistant": 0.5, "machine_detection": 0.5, "call_recording": 0.5, "cost": 0.5, "music": 0.5}
    often |= {"conference": 0.5, "announcement": 0.9, "rejoin": 0.5, "supervisor": 0.4, "no_pickup": 0.2, "floor_s": 8}
    plan = replace(plan, habits=replace(plan.habits, **(often | {"keep_after_hangup": 0.5} | habits)))
    return simulate(plan, seed=5, start=datetime(2026, 3, 2, 14, tzinfo=UTC), duration=timedelta(hours=5))


@pytest.fixture(scope="module")
def world() -> World:
    return a_world()


def payloads(world: World, event_type: str) -> Iterator[dict[str, Any]]:
    for event in world.events:
        if event.event_type == event_type:
            body = json.loads(event.body)
            yield body.get("data", body)["payload"]


def test_every_event_has_telnyxs_fields_in_telnyxs_places(world: World) -> None:
    seen = set()
    for event in world.events:
        body = json.loads(event.body)
        if event.event_type == "conference.floor.changed":
            inner = body
        else:
            assert set(body) == {"data", "meta"}
            assert body["meta"] == {"attempt": 1, "delivered_to": "https://example.com/webhooks/telnyx"}
            inner = body["data"]
        outside = event.event_type.startswith("call.") or event.event_type in {
            "conference.participant.joined",
            "conference.participant.left",
        }
        assert set(inner) == {"record_type", "event_type", "id", "payload"} | ({"occurred_at"} if outside else set())
        assert (inner["record_type"], inner["event_type"], inner["id"]) == ("event", event.event_type, event.event_id)
        payload = inner["payload"]
        if event.event_type == "call.initiated":
            assert set(payload) == (INITIATED | INBOUND if payload["direction"] == "incoming" else INITIATED)
        else:
            assert set(payload) == PAYLOADS[event.event_type]
            seen.add(event.event_type)
        if event.event_type != "conference.recording.saved":
            told = inner["occurred_at"] if outside else payload["occurred_at"]
            assert (MICROSECONDS if event.event_type.startswith("call.") else MILLISECONDS).fullmatch(told)
            assert micros(told) == event.at
    assert seen == set(PAYLOADS)


def test_identifiers_look_like_telnyxs(world: World) -> None:
    for event in world.events:
        assert uuid.UUID(event.event_id).version == 4
    for payload in payloads(world, "call.initiated"):
        for name in ("call_leg_id", "call_session_id"):
            assert uuid.UUID(payload[name]).version == 1
        ticks = uuid.UUID(payload["call_leg_id"]).time
        assert (ticks - 0x01B21DD213814000) // 10 == micros(payload["start_time"])
        assert re.fullmatch(r"v3:[A-Za-z0-9_-]{54}", payload["call_control_id"])
        assert re.fullmatch(r"\d{19}", payload["connection_id"])
        if payload["client_state"] is not None:
            assert base64.b64decode(payload["client_state"], validate=True)
    states = {payload["client_state"] is None for payload in payloads(world, "call.initiated")}
    assert states == {True, False}
    for payload in payloads(world, "conference.created"):
        assert uuid.UUID(payload["conference_id"]).version == 4


def test_values_are_telnyxs(world: World) -> None:
    assert {(p["direction"], p["state"]) for p in payloads(world, "call.initiated")} == {
        ("incoming", "parked"),
        ("outgoing", "bridging"),
    }
    for payload in payloads(world, "call.dequeued"):
        assert isinstance(payload["wait_time_secs"], int)
        assert payload["reason"] in {"bridged", "bridging-in-process", "hangup", "timeout", "leave"}
    for payload in payloads(world, "call.hangup"):
        assert payload["hangup_source"] in {"caller", "callee", "unknown"}
        assert payload["hangup_cause"] in {"normal_clearing", "timeout"}
        assert payload["telnyx_error"] is None
    for payload in payloads(world, "call.cost"):
        if payload["status"] == "success":
            assert Decimal(payload["total_cost"]) == sum(Decimal(part["cost"]) for part in payload["cost_parts"])
            assert payload["billed_duration_secs"] % 60 == 0
        else:
            assert (payload["status"], payload["total_cost"], payload["cost_parts"]) == ("error", None, [])
    for payload in payloads(world, "conference.recording.saved"):
        assert payload["recording_started_at"] < payload["recording_ended_at"]
        assert payload["recording_urls"][payload["format"]]


def test_agents_share_the_callers_session_and_both_legs_are_bridged(world: World) -> None:
    direction = {p["call_leg_id"]: p["direction"] for p in payloads(world, "call.initiated")}
    bridged = defaultdict(set)
    for payload in payloads(world, "call.bridged"):
        bridged[payload["call_session_id"]].add(direction[payload["call_leg_id"]])
    assert bridged
    assert all(sides == {"incoming", "outgoing"} for sides in bridged.values())


def test_a_share_may_come_in_the_v1_format() -> None:
    world = a_world(api_v1=0.2)
    old = [body for body in (json.loads(event.body) for event in world.events) if "created_at" in body]
    assert 0.15 < len(old) / len(world.events) < 0.25
    for body in old:
        assert set(body) == {"record_type", "event_type", "id", "created_at", "payload"}
    dotted = sum("." in body["event_type"] for body in old)
    assert 0 < dotted < len(old)
    truth = a_world().truth
    assert world.truth == truth


def test_only_the_attempt_differs_on_a_retry(world: World) -> None:
    for event in world.events[:200]:
        first, again = json.loads(event.body), json.loads(attempt(event.body, 3))
        if "meta" in first:
            assert again["meta"].pop("attempt") == 3
            first["meta"].pop("attempt")
        assert again == first


# a plain reading of the webhooks


def micros(told: str) -> int:
    return (datetime.fromisoformat(told) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def by_type(events: list[Event], key: str, value: str) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    found = defaultdict(list)
    for event in events:
        body = json.loads(event.body)
        payload = body.get("data", body)["payload"]
        if payload.get(key) == value:
            found[event.event_type].append((event.at, payload | {"id": event.event_id}))
    return found


def grouped(world: World, *, in_conference: bool) -> dict[str, list[Event]]:
    groups = defaultdict(list)
    for event in world.events:
        entity = event.conference_id if in_conference else event.leg_id
        if entity is not None and in_conference == (event.conference_id is not None):
            groups[entity].append(event)
    return groups


def test_the_webhooks_of_a_leg_tell_the_truth_about_its_visits(world: World) -> None:
    of_leg = grouped(world, in_conference=False)
    for row in world.truth.queue_visits:
        told = by_type(of_leg[row.call_leg_id], "call_leg_id", row.call_leg_id)
        [(enqueued, payload)] = [(at, p) for at, p in told["call.enqueued"] if p["id"] == row.visit_id]
        dequeues = [(at, p) for at, p in told["call.dequeued"] if at >= enqueued and p["queue"] == row.queue]
        left, dequeue = dequeues[0]
        [(hangup, _)] = told["call.hangup"]
        again = min((at for at, _ in told["call.enqueued"] if at > enqueued), default=hangup + 1)
        bridged = any(enqueued <= at < again for at, _ in told["call.bridged"])
        outcome = {"timeout": "timed_out", "leave": "left", "hangup": "abandoned"}.get(dequeue["reason"], "answered")
        if dequeue["reason"] == "bridging-in-process" and not bridged:
            outcome = "failed_bridge"
        if hangup < left:
            outcome = "abandoned"
        assert (row.outcome, row.reason, row.queue) == (outcome, dequeue["reason"], payload["queue"])
        assert row.answer_confirmed == (bridged if dequeue["reason"].startswith("bridg") else None)
        assert row.wait_ms == min(left, hangup) // 1000 - enqueued // 1000
        assert row.in_queue_ms == left // 1000 - enqueued // 1000
        assert row.reported_wait_secs == dequeue["wait_time_secs"]
        assert (row.position_in, row.position_out) == (payload["current_position"], dequeue["queue_position"])
        assert row.call_control_id == payload["call_control_id"]


def test_the_webhooks_of_a_leg_tell_the_truth_about_its_call(world: World) -> None:
    of_leg = grouped(world, in_conference=False)
    recordings = {row.recording_id: row for row in world.truth.recordings}
    assert world.truth.calls
    for row in world.truth.calls:
        told = by_type(of_leg[row.call_leg_id], "call_leg_id", row.call_leg_id)
        [(initiated, initiation)], [(ended, hangup)] = told["call.initiated"], told["call.hangup"]
        assert (row.direction, row.from_number, row.to_number) == tuple(
            initiation[name] for name in ("direction", "from", "to")
        )
        assert (row.hangup_cause, row.hangup_source) == (hangup["hangup_cause"], hangup["hangup_source"])
        answered, bridged = (
            min((at for at, _ in told[event_type]), default=None) for event_type in ("call.answered", "call.bridged")
        )
        assert row.ring_ms == (None if answered is None else answered // 1000 - initiated // 1000)
        assert row.talk_ms == (None if bridged is None else ended // 1000 - bridged // 1000)
        holds = list(zip(told["call.hold"], told["call.unhold"], strict=True))
        assert (row.holds, row.hold_ms) == (len(holds), sum(b // 1000 - a // 1000 for (a, _), (b, _) in holds))
        costs = [p for _, p in told["call.cost"] if p["status"] == "success"]
        assert (row.cost, row.billed_secs) == (
            (Decimal(costs[0]["total_cost"]), costs[0]["billed_duration_secs"]) if costs else (None, None)
        )
        verdicts = told["call.machine.detection.ended"] + told["call.machine.premium.detection.ended"]
        assert row.machine_result == (verdicts[0][1]["result"] if verdicts else None)
        talks = told["call.conversation.ended"]
        assert (row.conversation_ms, row.conversation_reason) == (
            (talks[0][1]["duration_sec"] * 1000, talks[0][1]["reason"]) if talks else (None, None)
        )
        for _, saved in told["call.recording.saved"]:
            begun, until = micros(saved["recording_started_at"]), micros(saved["recording_ended_at"])
            assert recordings[saved["id"]].duration_ms == until // 1000 - begun // 1000
            assert (begun, until) == (bridged, ended)


def test_what_was_played_is_true_to_the_webhooks(world: World) -> None:
    told: Counter[str] = Counter()
    for event in world.events:
        told[event.event_type] += 1
    scopes = {"call": "call", "participant": "conference.participant", "conference": "conference"}
    for scope, prefix in scopes.items():
        for kind in ("playback", "speak"):
            rows = [row for row in world.truth.playbacks if (row.scope, row.kind) == (scope, kind)]
            assert len(rows) == told[f"{prefix}.{kind}.started"] == told[f"{prefix}.{kind}.ended"] > 0
            assert all(row.started_at < row.ended_at for row in rows)


def test_the_webhooks_of_a_conference_tell_the_truth_about_it(world: World) -> None:
    of_room = grouped(world, in_conference=True)
    stays = defaultdict(list)
    for stay in world.truth.participant_stays:
        stays[stay.conference_id].append(stay)
    assert world.truth.conferences
    for row in world.truth.conferences:
        told = by_type(of_room[row.conference_id], "conference_id", row.conference_id)
        [(created, creation)], [(ended, ending)] = told["conference.created"], told["conference.ended"]
        assert row.duration_ms == (ended - created) // 1000
        assert (row.end_reason, row.call_session_id) == (ending["reason"], creation["call_session_id"])
        assert row.floor_changes == len(told["conference.floor.changed"])
        assert row.participants == len(told["conference.participant.joined"]) == len(stays[row.conference_id])
        assert row.recordings == len({p["recording_id"] for _, p in told["conference.recording.saved"]})
        # from one webhook to the next: who is in the room, and who has the floor
        present: dict[str, bool] = {}
        speaker, peak, then = None, 0, 0
        floor: dict[str, int] = defaultdict(int)
        attended: dict[str, int] = defaultdict(int)
        steps = sorted(
            [(at, 0, p["call_leg_id"]) for at, p in told["conference.participant.left"]]
            + [(at, 1, p["call_leg_id"]) for at, p in told["conference.participant.joined"]]
            + [(at, 2, p["call_leg_id"]) for at, p in told["conference.floor.changed"]]
            + [(ended, 3, "")]
        )
        for at, kind, leg in steps:
            for who, here in present.items():
                attended[who] += (at - then) // 1000 if here else 0
            if speaker is not None and present.get(speaker):
                floor[speaker] += (at - then) // 1000
            then = at
            if kind == 0:
                speaker = None if leg == speaker else speaker
            if kind in {0, 1}:
                present[leg] = kind == 1
            elif kind == 2:
                speaker = leg
            peak = max(peak, sum(present.values()))
        assert (row.peak_participants, row.unique_participants) == (peak, len(present))
        assert row.participant_ms == sum(attended.values())
        for leg in present:
            mine = [stay for stay in stays[row.conference_id] if stay.call_leg_id == leg]
            assert sum(stay.floor_ms for stay in mine) == floor[leg]
            assert sum(stay.duration_ms for stay in mine) == attended[leg]
