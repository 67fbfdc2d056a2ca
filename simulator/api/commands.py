"""The commands that change what is there; what they do comes as webhooks, too."""

from collections.abc import Callable
from typing import Any

from simulator import identity
from simulator.api.account import NEVER, Account
from simulator.api.errors import ApiError
from simulator.api.resources import Resource, conference
from simulator.conversation import whole_ms
from simulator.history import (
    Conference,
    Leg,
    Recording,
    Stay,
    Visit,
)

Body = dict[str, Any]
_S = 1_000_000


class Commands:
    """Obeys commands on an account. Every command that cannot be obeyed raises ApiError and changes nothing."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def obey(self, path: str, body: Body) -> Resource:
        """Do what a POST to `path` (without the version) asks."""
        match path.split("/"):
            case ["calls"]:
                return self._dial(body)
            case ["conferences"]:
                return self._create(body)
            case ["calls", control_id, "actions", action] if act := self._of_call().get(action):
                return act(self._alive(control_id), body)
            case ["conferences", conference_id, "actions", action] if command := self._of_room().get(action):
                return command(self._running(conference_id), body)
        raise ApiError.not_found()

    def _of_call(self) -> dict[str, Callable[[Leg, Body], Resource]]:
        return {
            "answer": self._answer,
            "hangup": self._hang_up,
            "enqueue": self._enqueue,
            "leave_queue": self._leave_queue,
        }

    def _of_room(self) -> dict[str, Callable[[Conference, Body], Resource]]:
        return {
            "join": self._join,
            "leave": self._leave,
            "end": self._end,
            "hold": lambda room, body: self._flag(room, body, "on_hold", on=True),
            "unhold": lambda room, body: self._flag(room, body, "on_hold", on=False),
            "mute": lambda room, body: self._flag(room, body, "muted", on=True),
            "unmute": lambda room, body: self._flag(room, body, "muted", on=False),
            "record_start": self._record,
            "record_stop": self._stop_recording,
        }

    # calls

    def call_in(self, from_number: str, to_number: str) -> Leg:
        """Somebody calls; an application hears of it by webhook."""
        return self._begin(from_number, to_number, incoming=True)

    def _dial(self, body: Body) -> Resource:
        leg = self._begin(str(body.get("from")), str(body.get("to")), incoming=False)
        return {
            "data": {
                "record_type": "call",
                "call_control_id": leg.control_id,
                "call_leg_id": leg.leg_id,
                "call_session_id": leg.session_id,
                "is_alive": True,
            }
        }

    def _begin(self, from_number: str, to_number: str, *, incoming: bool) -> Leg:
        account, now = self._account, self._account.now()
        leg = Leg(
            control_id=identity.control_id(account.rng),
            leg_id=identity.leg_id(account.rng, now),
            session_id=identity.leg_id(account.rng, now),
            client_state=None,
            incoming=incoming,
            from_number=from_number,
            to_number=to_number,
            initiated=now,
        )
        account.add_leg(leg)
        self._tell(leg, "call.initiated", direction="incoming" if incoming else "outgoing", state="parked")
        return leg

    def _answer(self, leg: Leg, _: Body) -> Resource:
        if leg.answered is None:
            leg.answered = self._account.now()
            self._tell(leg, "call.answered", state="answered")
        return _OK

    def _hang_up(self, leg: Leg, _: Body) -> Resource:
        self._out_of_queue(leg, "hangup")
        for room in self._account.rooms():
            if room.ended == NEVER and (stay := _staying(room, leg)):
                self._go(room, stay)
        leg.hang_up(self._account.now(), by="callee")
        self._tell(leg, "call.hangup", hangup_cause=leg.hangup_cause, hangup_source=leg.hangup_source, state="hangup")
        return _OK

    # queues

    def _enqueue(self, leg: Leg, body: Body) -> Resource:
        name = body.get("queue_name")
        if not isinstance(name, str) or not name:
            raise ApiError.invalid("/queue_name", "is required")
        account, now = self._account, self._account.now()
        if any(visit.leg is leg for visit in account.waiting(name)):
            raise ApiError.already_in_queue()
        position = len(account.waiting(name)) + 1
        visit = Visit(identity.event_id(account.rng), leg, name, now, position, 0)
        account.history.visits.append(visit)
        said = {"queue": name, "current_position": position, "queue_avg_wait_time_secs": 0}
        account.tell("call.enqueued", now, {**account.ids(leg), **said}, event_id=visit.visit_id)
        return _OK

    def _leave_queue(self, leg: Leg, _: Body) -> Resource:
        if not self._out_of_queue(leg, "leave"):
            raise ApiError.not_found()
        return _OK

    def _out_of_queue(self, leg: Leg, reason: str) -> bool:
        account, now = self._account, self._account.now()
        for visit in account.history.visits:
            if visit.leg is leg and visit.reason is None:
                visit.position_out = account.waiting(visit.queue).index(visit) + 1
                visit.left, visit.reason = now, reason
                said = {
                    "queue": visit.queue,
                    "queue_position": visit.position_out,
                    "reason": reason,
                    "wait_time_secs": (now - visit.enqueued) // _S,
                }
                account.tell("call.dequeued", now, {**account.ids(leg), **said})
                return True
        return False

    # conferences

    def _create(self, body: Body) -> Resource:
        leg = self._alive(str(body.get("call_control_id")))
        account, now = self._account, whole_ms(self._account.now())
        room = Conference(identity.event_id(account.rng), leg, now, NEVER, "", [], [], [], [])
        account.add_room(room, str(body.get("name")))
        self._tell_room(room, leg, "conference.created")
        self._come(room, leg)
        return {"data": conference(account, room)}

    def _join(self, room: Conference, body: Body) -> Resource:
        leg = self._alive(str(body.get("call_control_id")))
        if _staying(room, leg) is None:
            self._come(room, leg)
        return _OK

    def _leave(self, room: Conference, body: Body) -> Resource:
        stay = _staying(room, self._alive(str(body.get("call_control_id"))))
        if stay is None:
            raise ApiError.not_found()
        self._go(room, stay)
        return _OK

    def _end(self, room: Conference, _: Body) -> Resource:
        self._account.ended_via_api.add(room.conference_id)
        self._over(room, None)
        return _OK

    def _come(self, room: Conference, leg: Leg) -> None:
        self._out_of_queue(leg, "bridged")
        room.stays.append(Stay(leg, whole_ms(self._account.now()), NEVER))
        self._tell_room(room, leg, "conference.participant.joined")

    def _go(self, room: Conference, stay: Stay) -> None:
        stay.left = whole_ms(self._account.now())
        self._tell_room(room, stay.leg, "conference.participant.left")
        if all(each.left != NEVER for each in room.stays):
            self._over(room, "all_left")

    def _over(self, room: Conference, reason: str | None) -> None:
        """The webhook of an end by API says no reason, as far as anybody has documented."""
        room.ended, room.end_reason = whole_ms(self._account.now()), reason or ""
        for stay in room.stays:
            if stay.left == NEVER:
                stay.left, stay.told = room.ended, False
        self._tell_room(room, room.creator, "conference.ended", **({"reason": reason} if reason else {}))
        if room.conference_id in self._account.running:
            self._stop_recording(room, {})

    def _flag(self, room: Conference, body: Body, name: str, *, on: bool) -> Resource:
        """Those named, or everybody."""
        wanted = body.get("call_control_ids")
        for stay in room.stays:
            if stay.left == NEVER and (wanted is None or stay.leg.control_id in wanted):
                setattr(self._account.flagged(room, stay), name, on)
        return _OK

    def _record(self, room: Conference, body: Body) -> Resource:
        begun = whole_ms(self._account.now())
        self._account.running[room.conference_id] = (str(body.get("format") or "mp3"), begun)
        return _OK

    def _stop_recording(self, room: Conference, _: Body) -> Resource:
        account, now = self._account, self._account.now()
        if room.conference_id not in account.running:
            raise ApiError.not_found()
        form, begun = account.running.pop(room.conference_id)
        told = Recording(identity.event_id(account.rng), begun, whole_ms(now), now, "single", form)
        room.recordings.append(told)
        account.tell_recording(told, room)
        return _OK

    def _alive(self, control_id: str) -> Leg:
        leg = self._account.leg(control_id)
        if leg is None:
            raise ApiError.not_found()
        if not self._account.alive(leg):
            raise ApiError.call_ended()
        return leg

    def _running(self, conference_id: str) -> Conference:
        room = self._account.room(conference_id)
        if room is None or room.ended <= self._account.now():
            raise ApiError.no_conference()
        return room

    def _tell(self, leg: Leg, event_type: str, **said: object) -> None:
        numbers = {"from": leg.from_number, "to": leg.to_number}
        self._account.tell(event_type, self._account.now(), {**self._account.ids(leg), **numbers, **said})

    def _tell_room(self, room: Conference, leg: Leg, event_type: str, **said: object) -> None:
        at = whole_ms(self._account.now())
        self._account.tell(event_type, at, {**self._account.ids(leg), "conference_id": room.conference_id, **said})


_OK: Resource = {"data": {"result": "ok"}}


def _staying(room: Conference, leg: Leg) -> Stay | None:
    return next((stay for stay in room.stays if stay.leg is leg and stay.left == NEVER), None)
