"""Rows of the warehouse's tables, of the columns that the history determines, with the same names, types and units."""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple


class QueueVisit(NamedTuple):
    """A row of `queue_visits`."""

    visit_id: str
    call_control_id: str
    call_leg_id: str
    call_session_id: str
    connection_id: str
    queue: str
    from_number: str
    to_number: str
    enqueued_at: datetime
    enqueued_at_source: str
    left_at: datetime
    wait_ms: int
    in_queue_ms: int
    reported_wait_secs: int
    reason: str
    outcome: str
    answer_confirmed: bool | None
    position_in: int
    position_out: int


class ConferenceRow(NamedTuple):
    """A row of `conferences`."""

    conference_id: str
    connection_id: str
    call_session_id: str
    created_at: datetime
    ended_at: datetime
    duration_ms: int
    status: str
    end_reason: str
    end_reason_source: str
    participants: int
    unique_participants: int
    peak_participants: int
    participant_ms: int
    floor_changes: int
    recordings: int


class ParticipantStay(NamedTuple):
    """A row of `participant_stays`."""

    conference_id: str
    call_control_id: str
    call_leg_id: str
    call_session_id: str
    joined_at: datetime
    left_at: datetime
    duration_ms: int
    floor_ms: int


class CallRow(NamedTuple):
    """A row of `calls`."""

    call_control_id: str
    call_leg_id: str
    call_session_id: str
    connection_id: str
    direction: str
    from_number: str
    to_number: str
    initiated_at: datetime
    answered_at: datetime | None
    bridged_at: datetime | None
    ended_at: datetime
    status: str
    hangup_cause: str
    hangup_source: str
    ring_ms: int | None
    talk_ms: int | None
    holds: int
    hold_ms: int
    cost: Decimal | None
    currency: str | None
    billed_secs: int | None
    machine_result: str | None
    conversation_ms: int | None
    conversation_reason: str | None


class RecordingRow(NamedTuple):
    """A row of `recordings`."""

    recording_id: str
    kind: str
    conference_id: str | None
    call_control_id: str
    call_leg_id: str | None
    call_session_id: str
    connection_id: str
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    channels: str
    format: str | None


class PlaybackRow(NamedTuple):
    """A row of `playbacks`."""

    kind: str
    scope: str
    conference_id: str | None
    call_control_id: str | None
    call_leg_id: str | None
    call_session_id: str
    connection_id: str
    media_url: str | None
    media_name: str | None
    started_at: datetime
    ended_at: datetime
    duration_ms: int


TABLES: dict[str, type[tuple[Any, ...]]] = {
    "queue_visits": QueueVisit,
    "conferences": ConferenceRow,
    "participant_stays": ParticipantStay,
    "calls": CallRow,
    "recordings": RecordingRow,
    "playbacks": PlaybackRow,
}
