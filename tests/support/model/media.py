"""The rules of recordings and playbacks."""

from functools import partial

from tests.support.model.happening import (
    CALL_RECORDED,
    CALL_RECORDING_SEEN,
    PLAYED,
    RECORDED,
    RECORDING_SEEN,
    Happening,
)
from tests.support.model.observed import kind_of_recording, told_twice
from tests.support.model.rows import Playback, Recording
from tests.support.model.walk import Pair, forward_ms, grouped, ms, walked


def recordings(events: list[Happening]) -> list[Recording]:
    """Each as it was told last, by a webhook where one did; one that has no id of its own goes by the event's."""
    told = [told[-1] for told in grouped(lambda each: (each.event_type, each.recording_id or each.event_id), events)]
    found: list[Recording] = []
    for of_kind in grouped(kind_of_recording, told):
        heard = [each for each in of_kind if each.event_type in (RECORDED, CALL_RECORDED)]
        seen = [each for each in of_kind if each.event_type in (RECORDING_SEEN, CALL_RECORDING_SEEN)]
        known = told_twice(heard, seen)
        found += [_recording(each, "webhook") for each in heard]
        found += [_recording(each, "rest") for each in seen if (each.recording_id or each.event_id) not in known]
    return found


def _recording(told: Happening, source: str) -> Recording:
    return Recording(
        recording_id=told.recording_id or told.event_id,
        kind=kind_of_recording(told),
        conference_id=told.conference_id,
        call_control_id=told.control_id,
        call_leg_id=told.leg_id,
        call_session_id=told.session_id,
        connection_id=told.connection_id,
        started_at=told.recorded_from,
        ended_at=told.recorded_until,
        duration_ms=forward_ms(told.recorded_from, told.recorded_until),
        channels=told.channels,
        format=told.format,
        source=source,
    )


def playbacks(events: list[Happening]) -> list[Playback]:
    """Starts with their ends, by what was played to whom. In a conference that nobody names, nothing plays."""
    named = [each for each in events if each.event_type.startswith("call.") or each.conference_id]
    found: list[Playback] = []
    for what in PLAYED:
        scope = {"call": "call", "conference.participant": "participant"}.get(what.rpartition(".")[0], "conference")
        kind = what.rpartition(".")[2]
        ours = [each for each in named if each.event_type.rpartition(".")[0] == what]
        for told in grouped(partial(_played_to, scope=scope, kind=kind), ours):
            found += [_playback(pair, kind, scope) for pair in walked(told, f"{what}.started")]
    return found


def _played_to(each: Happening, *, scope: str, kind: str) -> tuple[str | None, str | None]:
    medium = (each.media_url or each.media_name) if kind == "playback" else None
    return None if scope == "conference" else each.leg, medium


def _playback(pair: Pair, kind: str, scope: str) -> Playback:
    started_at = pair.opening.at if pair.opening else None
    ended_at = pair.closing.at if pair.closing else None
    return Playback(
        playback_id=pair.pair_id,
        kind=kind,
        scope=scope,
        conference_id=pair.first("conference_id"),
        call_control_id=pair.first("control_id"),
        call_leg_id=pair.first("leg_id"),
        call_session_id=pair.first("session_id") or pair.first("creator_session_id"),
        connection_id=pair.first("connection_id"),
        media_url=pair.first("media_url"),
        media_name=pair.first("media_name"),
        started_at=started_at,
        ended_at=ended_at,
        duration_ms=ms(started_at, ended_at),
    )
