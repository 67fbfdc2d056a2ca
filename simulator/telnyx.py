"""From what happened to the webhooks that Telnyx sends about it, quirks included.

Shapes and placements are those of Telnyx's OpenAPI description: `occurred_at` sits beside the payload on some events,
inside it on others and nowhere on `conference.recording.saved`; `conference.floor.changed` has no `data` around it;
call events tell microseconds, conference events milliseconds.
"""

import json
import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from simulator import identity
from simulator.history import (
    Announcement,
    Conference,
    History,
    Leg,
    Recording,
    Stay,
    Visit,
)
from simulator.payloads import conversation, cost, recorded, stamp
from simulator.plan import Plan

IN_DATA = frozenset({"conference.participant.joined", "conference.participant.left"})
"""The conference events that have `occurred_at` where call events have it; the others have it in the payload."""
UNDATED = "conference.recording.saved"
UNWRAPPED = "conference.floor.changed"

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Event(NamedTuple):
    """One webhook as first sent. `at` is when it happened (or, undated, was ready to send), Unix microseconds."""

    at: int
    event_id: str
    event_type: str
    leg_id: str | None
    conference_id: str | None
    body: bytes


def events(plan: Plan, history: History, *, seed: int) -> list[Event]:
    """Return all webhooks of `history` in the order in which things happened."""
    desk = Desk(plan, random.Random(f"{seed}/webhooks"))
    for leg in history.legs:
        desk.call(leg)
    for visit in history.visits:
        desk.visit(visit)
    for conference in history.conferences:
        desk.conference(conference)
    # stable: a call that is enqueued and dequeued at one instant stays in that order
    desk.events.sort(key=lambda event: event.at)
    return desk.events


def attempt(body: bytes, number: int) -> bytes:
    """Return the body as Telnyx sends it the `number`th time. Without `meta` a retry is the same, byte for byte."""
    event = json.loads(body)
    if "meta" not in event:
        return body
    event["meta"]["attempt"] = number
    return _encode(event).encode()


class Desk:
    """Writes webhooks; `events` are those written so far, in the order of writing."""

    def __init__(self, plan: Plan, rng: random.Random) -> None:
        self._plan, self._rng = plan, rng
        self._meta = {"attempt": 1, "delivered_to": plan.delivered_to}
        self.events: list[Event] = []

    def call(self, leg: Leg) -> None:
        """initiated, answered, bridged, hold and unhold, hangup."""
        begun = stamp(leg.initiated)
        numbers = {**self.ids(leg), "from": leg.from_number, "to": leg.to_number}
        initiated = {
            **numbers,
            "direction": "incoming" if leg.incoming else "outgoing",
            "state": "parked" if leg.incoming else "bridging",
            "start_time": begun,
            "caller_id_name": leg.from_number,
            "connection_codecs": "PCMU,PCMA,G729",
            "offered_codecs": "PCMU,G729",
        }
        if leg.incoming:
            initiated |= {
                "calling_party_type": "pstn",
                "from_sip_uri": f"{leg.from_number}@192.0.2.1:5060",
                "to_sip_uri": f"{leg.to_number}@192.0.2.2:5060",
            }
        self.send("call.initiated", leg.initiated, initiated)
        if leg.answered is not None:
            self.send("call.answered", leg.answered, {**numbers, "start_time": begun, "state": "answered"})
        for at in leg.bridged:
            self.send("call.bridged", at, numbers)
        for begun_hold, ended_hold in leg.held:
            self.send("call.hold", begun_hold, numbers)
            self.send("call.unhold", ended_hold, numbers)
        hangup = {
            **numbers,
            "start_time": begun,
            "end_time": stamp(leg.ended),
            "state": "hangup",
            "hangup_cause": leg.hangup_cause,
            "hangup_source": leg.hangup_source,
            "sip_hangup_cause": leg.sip_cause,
            "call_quality_stats": self._quality(leg),
            "telnyx_error": None,
        }
        self.send("call.hangup", leg.ended, hangup)
        self._more(leg, numbers)

    def _more(self, leg: Leg, numbers: dict[str, Any]) -> None:
        """What only some applications ask for."""
        ids = self.ids(leg)
        for talk in leg.talks:
            self.send("call.conversation.ended", talk.ended, {**numbers, **conversation(talk)})
        if leg.verdict is not None:
            kind = "call.machine.premium.detection.ended" if leg.verdict.premium else "call.machine.detection.ended"
            self.send(kind, leg.verdict.at, {**numbers, "result": leg.verdict.result})
        for announcement in leg.announcements:
            self._played("call", announcement, ids)
        for recording in leg.recordings:
            payload = {**ids, **recorded(recording)}
            self.send("call.recording.saved", recording.saved, payload, event_id=recording.recording_id)
        if leg.bill is not None:
            self.send("call.cost", leg.bill.at, {**ids, **cost(leg.bill)})

    def _quality(self, leg: Leg) -> dict[str, dict[str, str]] | None:
        if leg.answered is None:
            return None
        packets = str(max(0, leg.ended - leg.answered) // 20_000)
        inbound = {"mos": "4.50", "jitter_max_variance": "2.74", "jitter_packet_count": "0"}
        counts = {"packet_count": packets, "skip_packet_count": "0"}
        return {"inbound": {**inbound, **counts}, "outbound": counts}

    def visit(self, visit: Visit) -> None:
        """enqueued and dequeued."""
        ids = {**self.ids(visit.leg), "queue": visit.queue}
        enqueued = {
            **ids,
            "current_position": visit.position_in,
            "queue_avg_wait_time_secs": visit.average_wait_s,
        }
        self.send("call.enqueued", visit.enqueued, enqueued, event_id=visit.visit_id)
        dequeued = {
            **ids,
            "queue_position": visit.position_out,
            "reason": visit.reason,
            "wait_time_secs": (visit.left - visit.enqueued) // 1_000_000,
        }
        self.send("call.dequeued", visit.left, dequeued)

    def conference(self, conference: Conference) -> None:
        """All webhooks of one conference."""
        room = {"conference_id": conference.conference_id}
        creator = {**self.ids(conference.creator), **room}
        self.send("conference.created", conference.created, creator)
        self.send("conference.ended", conference.ended, {**creator, "reason": conference.end_reason})
        self._stays(conference.stays, room)
        for turn in conference.turns:
            self.send("conference.floor.changed", turn.begun, {**self.ids(turn.stay.leg), **room})
        for recording in conference.recordings:
            self.recording(recording, creator)
        for announcement in conference.announcements:
            self._announcement(announcement, conference.creator.session_id, room)

    def _stays(self, stays: Iterable[Stay], room: dict[str, str]) -> None:
        for stay in stays:
            participant = {**self.ids(stay.leg), **room}
            self.send("conference.participant.joined", stay.joined, participant)
            if stay.told:
                self.send("conference.participant.left", stay.left, participant)

    def recording(self, recording: Recording, creator: dict[str, Any]) -> None:
        """conference.recording.saved; `creator` holds the creator's ids and the conference's."""
        payload = {
            **{name: value for name, value in creator.items() if name != "call_leg_id"},
            **recorded(recording),
            "format": recording.format,
            "recording_id": recording.recording_id,
        }
        self.send(UNDATED, recording.saved, payload)

    def _announcement(self, told: Announcement, session_id: str, room: dict[str, str]) -> None:
        payload: dict[str, Any] = {**room, "creator_call_session_id": session_id}
        who = "conference"
        if told.leg is None:
            payload["connection_id"] = self._plan.connection_id
        else:
            who = "conference.participant"
            payload |= self.ids(told.leg)
        self._played(who, told, payload)

    def _played(self, who: str, told: Announcement, payload: dict[str, Any]) -> None:
        what = "speak"
        if told.media is not None:
            what = "playback"
            payload = payload | {"media_url": told.media, "media_name": told.media.rpartition("/")[2]}
        self.send(f"{who}.{what}.started", told.begun, payload)
        self.send(f"{who}.{what}.ended", told.ended, payload)

    def ids(self, leg: Leg) -> dict[str, str | None]:
        return {
            "call_control_id": leg.control_id,
            "call_leg_id": leg.leg_id,
            "call_session_id": leg.session_id,
            "client_state": leg.client_state,
            "connection_id": self._plan.connection_id,
        }

    def send(self, event_type: str, at: int, payload: dict[str, Any], event_id: str | None = None) -> None:
        event_id = event_id or identity.event_id(self._rng)
        about_call = event_type.startswith("call.")
        occurred_at = stamp(at, "microseconds" if about_call else "milliseconds")
        outside = about_call or event_type in IN_DATA
        if not outside and event_type != UNDATED:
            payload = {**payload, "occurred_at": occurred_at}
        event: dict[str, Any] = {"record_type": "event", "event_type": event_type, "id": event_id}
        share = self._plan.habits.api_v1
        if share and self._rng.random() < share:
            if self._rng.random() < 0.5:
                event["event_type"] = event_type.replace(".", "_")
            body = {**event, "created_at": occurred_at, "payload": payload}
        elif event_type == UNWRAPPED:
            body = {**event, "payload": payload}
        else:
            if outside:
                event["occurred_at"] = occurred_at
            body = {"data": {**event, "payload": payload}, "meta": self._meta}
        ids = payload.get("call_leg_id"), payload.get("conference_id")
        self.events.append(Event(at, event_id, event_type, *ids, _encode(body).encode()))
