"""What the API says of each thing: Telnyx's fields, in Telnyx's ways of writing times.

Sources: the OpenAPI description's schemas of the same names. Detail records write whole seconds with an offset.
"""

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from simulator.api.account import (
    MAX_CONFERENCE_US,
    NEVER,
    Account,
)
from simulator.history import (
    Conference,
    Leg,
    Recording,
    Stay,
    Visit,
)
from simulator.payloads import stamp

_US = 1_000_000
_DENVER = timezone(timedelta(hours=-6))
_NAMES = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")

Resource = dict[str, Any]


def an_id(*words: object) -> str:
    """An id that is always the same for the same words."""
    return str(uuid.uuid5(_NAMES, "/".join(map(str, words))))


def ms(at: int) -> str:
    """As REST writes times: `2019-01-23T18:10:02.574Z`."""
    return stamp(at, "milliseconds")


def with_offset(at: int) -> str:
    """As detail records write times: whole seconds, `2020-07-01T00:00:00-06:00`."""
    return datetime.fromtimestamp(at // _US, UTC).astimezone(_DENVER).isoformat()


def conference(account: Account, room: Conference) -> Resource:
    """A Conference."""
    now = account.now()
    over = room.ended <= now
    moves = [at for stay in room.stays for at in (stay.joined, stay.left) if at <= now]
    via_api = room.conference_id in account.ended_via_api
    return {
        "id": room.conference_id,
        "record_type": "conference",
        "name": account.names.get(room.conference_id, f"room-{room.conference_id[:8]}"),
        "created_at": ms(room.created),
        "expires_at": ms(room.created + MAX_CONFERENCE_US),
        "updated_at": ms(room.ended if over else max([room.created, *moves])),
        "status": "completed" if over else "in_progress" if moves else "init",
        "end_reason": None if not over else "ended_via_api" if via_api else room.end_reason,
        "ended_by": _ended_by(room) if over else {"call_control_id": None, "call_session_id": None},
        "connection_id": account.plan.connection_id,
        "region": account.regions.get(room.conference_id, "sv1"),
    }


def _ended_by(room: Conference) -> Resource:
    """Whose leaving ended it: all there or all null."""
    if room.end_reason not in {"all_left", "host_left"} or not room.stays:
        return {"call_control_id": None, "call_session_id": None}
    last = max(room.stays, key=lambda stay: (stay.left, stay.told))
    return {"call_control_id": last.leg.control_id, "call_session_id": last.leg.session_id}


def participant_id(room: Conference, stay: Stay) -> str:
    """Of one stay: whoever comes back is another participant."""
    return an_id(room.conference_id, stay.leg.leg_id, stay.joined)


def participant(account: Account, room: Conference, stay: Stay) -> Resource:
    """A Participant, as the list has it."""
    now = account.now()
    here = now < min(stay.left, room.ended)
    flags = account.flagged(room, stay)
    return {
        "id": participant_id(room, stay),
        "record_type": "participant",
        "call_control_id": stay.leg.control_id,
        "call_leg_id": stay.leg.leg_id,
        "conference": {
            "id": room.conference_id,
            "name": account.names.get(room.conference_id, f"room-{room.conference_id[:8]}"),
        },
        "created_at": ms(stay.joined),
        "updated_at": ms(stay.joined if here else min(stay.left, room.ended)),
        "status": "joined" if here else "left",
        "muted": flags.muted,
        "on_hold": flags.on_hold,
        "end_conference_on_exit": False,
        "soft_end_conference_on_exit": False,
        "whisper_call_control_ids": [],
    }


def single_participant(account: Account, room: Conference, stay: Stay) -> Resource:
    """A ConferenceParticipant: the same in another shape."""
    listed = participant(account, room, stay)
    del listed["conference"], listed["record_type"]
    return {**listed, "conference_id": room.conference_id, "label": None}


def queue(account: Account, name: str) -> Resource:
    """A Queue; its average is over those who wait now."""
    waiting, now = account.waiting(name), account.now()
    first = min((each.enqueued for each in account.history.visits if each.queue == name), default=now)
    touched = [
        at
        for each in account.history.visits
        if each.queue == name
        for at in (each.enqueued, each.left if each.reason else NEVER)
        if at <= now
    ]
    waits = [(now - each.enqueued) // _US for each in waiting]
    return {
        "id": an_id("queue", name),
        "record_type": "queue",
        "name": name,
        "current_size": len(waiting),
        "max_size": 100,
        "average_wait_time_secs": round(sum(waits) / len(waits)) if waits else 0,
        "created_at": ms(first),
        "updated_at": ms(max(touched, default=first)),
    }


def queue_call(account: Account, visit: Visit, position: int) -> Resource:
    """A QueueCall."""
    leg = visit.leg
    return {
        "record_type": "queue_call",
        "call_control_id": leg.control_id,
        "call_leg_id": leg.leg_id,
        "call_session_id": leg.session_id,
        "connection_id": account.plan.connection_id,
        "from": leg.from_number,
        "to": leg.to_number,
        "enqueued_at": ms(visit.enqueued),
        "is_alive": account.alive(leg),
        "queue_id": an_id("queue", visit.queue),
        "queue_position": position,
        "wait_time_secs": (account.now() - visit.enqueued) // _US,
    }


def call(account: Account, leg: Leg) -> Resource:
    """A Call."""
    alive = account.alive(leg)
    until = account.now() if alive else leg.ended
    return {
        "record_type": "call",
        "call_control_id": leg.control_id,
        "call_leg_id": leg.leg_id,
        "call_session_id": leg.session_id,
        "client_state": leg.client_state,
        "is_alive": alive,
        "start_time": ms(leg.initiated),
        "end_time": None if alive else ms(leg.ended),
        "call_duration": (until - leg.initiated) // _US,
    }


def recording(account: Account, told: Recording, leg: Leg, room: Conference | None) -> Resource:
    """A RecordingResponseData. A call's has an id that no webhook tells."""
    return {
        "id": told.recording_id if room else an_id("recording", told.recording_id),
        "record_type": "recording",
        "source": "conference" if room else "call",
        "conference_id": room.conference_id if room else None,
        "call_control_id": leg.control_id,
        "call_leg_id": leg.leg_id,
        "call_session_id": leg.session_id,
        "connection_id": account.plan.connection_id,
        "channels": told.channels,
        "recording_started_at": ms(told.begun),
        "recording_ended_at": ms(told.ended),
        "duration_millis": (told.ended - told.begun) // 1000,
        "created_at": ms(told.saved),
        "updated_at": ms(told.saved),
        "status": "completed",
        "initiated_by": "StartConferenceRecordingAPI" if room else "StartCallRecordingAPI",
        "from": leg.from_number,
        "to": leg.to_number,
        "download_urls": {"mp3": None, "wav": None},
    }


def conference_record(account: Account, room: Conference) -> Resource:
    """A ConferenceDetailRecord; only of what is over."""
    seconds = [(stay.left - stay.joined) // _US for stay in room.stays]
    return {
        "record_type": "conference_detail_record",
        "id": room.conference_id,
        "name": account.names.get(room.conference_id, f"room-{room.conference_id[:8]}"),
        "started_at": with_offset(room.created),
        "ended_at": with_offset(room.ended),
        "expires_at": with_offset(room.created + MAX_CONFERENCE_US),
        "call_sec": (room.ended - room.created) // _US,
        "participant_call_sec": sum(seconds),
        "participant_count": len(seconds),
        "call_leg_id": room.creator.leg_id,
        "call_session_id": room.creator.session_id,
        "connection_id": account.plan.connection_id,
        "region": account.regions.get(room.conference_id, "sv1"),
        "is_telnyx_billable": False,
        "user_id": an_id("user"),
    }


def participant_record(room: Conference, stay: Stay) -> Resource:
    """A ConferenceParticipantDetailRecord."""
    seconds = (stay.left - stay.joined) // _US
    return {
        "record_type": "conference_participant_detail_record",
        "id": participant_id(room, stay),
        "conference_id": room.conference_id,
        "joined_at": with_offset(stay.joined),
        "left_at": with_offset(stay.left),
        "call_sec": seconds,
        "billed_sec": -(-seconds // 60) * 60,
        "call_leg_id": stay.leg.leg_id,
        "call_session_id": stay.leg.session_id,
        "originating_number": stay.leg.from_number,
        "destination_number": stay.leg.to_number,
        "is_telnyx_billable": True,
        "cost": "0.004",
        "rate": "0.002",
        "rate_measured_in": "minutes",
        "currency": "USD",
        "user_id": an_id("user"),
    }
