"""The rules of a conference, given who was there."""

from datetime import datetime

from tests.support.model.happening import (
    CONFERENCE_BILLED,
    CONFERENCE_SEEN,
    CREATED,
    ENDED,
    EPOCH,
    FLOOR,
    RECORDED,
    RECORDING_SEEN,
    Happening,
)
from tests.support.model.rows import Conference
from tests.support.model.stays import Presence, end_of
from tests.support.model.walk import least, ms


def conference(events: list[Happening], there: list[Presence]) -> Conference:
    """From the first creation to the last end, should more than one of either be told."""
    creations = [each for each in events if each.event_type == CREATED]
    end = end_of(events)
    listed = [each for each in events if each.event_type == CONFERENCE_SEEN]
    billed = [each for each in events if each.event_type == CONFERENCE_BILLED]
    beginnings = (
        (min((each.at for each in creations), default=None), "webhook"),
        (min((each.began for each in billed if each.began), default=None), "detail_record"),
        (min((each.began for each in listed if each.began), default=None), "rest"),
    )
    created_at, created_at_source = next(((at, source) for at, source in beginnings if at), (None, None))
    reasons = [each.reason for each in events if each.event_type == ENDED and each.reason is not None]
    last = max((each for each in listed if each.status == "completed"), key=_newest, default=None)
    told = max(listed, key=_newest, default=None) or max(billed, key=lambda each: each.event_id, default=None)
    in_time = created_at is not None and end.at is not None and end.at >= created_at
    recordings = {
        each.recording_id or each.event_id for each in events if each.event_type in (RECORDED, RECORDING_SEEN)
    }
    reason = reasons[-1] if reasons else last.reason if last else None
    return Conference(
        conference_id=events[0].conference_id or "",
        name=told.name if told else None,
        region=told.region if told else None,
        connection_id=least("connection_id", creations) or least("connection_id", events),
        call_session_id=least("session_id", creations) or least("session_id", events),
        created_at=created_at,
        created_at_source=created_at_source,
        ended_at=end.at,
        ended_at_source=end.source,
        ended_at_latest=end.latest,
        duration_ms=ms(created_at, end.at) if in_time else None,
        status="completed" if end.at or end.seen else "in_progress",
        end_reason=reason,
        end_reason_source="webhook" if reasons else "rest" if reason is not None else None,
        ended_by=last.ended_by if last else None,
        participants=len(there),
        unique_participants=len({each.leg for each in there}),
        peak_participants=_peak(there),
        participant_ms=sum(ms(each.joined_at, each.left_at) or 0 for each in there),
        floor_changes=sum(each.event_type == FLOOR for each in events),
        recordings=len(recordings),
    )


def _newest(each: Happening) -> tuple[bool, datetime, str]:
    """What was changed last; that which does not say when is taken for newest."""
    return each.over is None, each.over or EPOCH, each.event_id


def _peak(there: list[Presence]) -> int:
    """The most at any moment; it can only be at somebody's joining, when those who leave then are gone already."""
    present = [
        (each.joined_at, each.over_at) for each in there if each.joined_at is not None and each.over_at > each.joined_at
    ]
    return max((sum(joined <= moment < over for joined, over in present) for moment, _ in present), default=0)
