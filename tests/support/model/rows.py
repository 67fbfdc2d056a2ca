"""The facts, each with the columns that the rules determine."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

OUTCOMES = {"answered", "abandoned", "timed_out", "left", "failed_bridge", "unknown", "waiting"}


@dataclass(frozen=True)
class Visit:
    """A row of `queue_visits`, without the columns that serve only its storage."""

    visit_id: str
    call_control_id: str | None
    call_leg_id: str | None
    call_session_id: str | None
    connection_id: str | None
    queue: str | None
    from_number: str | None
    to_number: str | None
    enqueued_at: datetime | None
    enqueued_at_source: str | None
    left_at: datetime | None
    left_at_latest: datetime | None
    seen_waiting_at: datetime | None
    wait_ms: int | None
    in_queue_ms: int | None
    reported_wait_secs: int | None
    reason: str | None
    outcome: str
    answer_confirmed: bool | None
    position_in: int | None
    position_out: int | None
    revision: int = 0
    origins: str = ""


@dataclass(frozen=True)
class Stay:
    """A row of `participant_stays`."""

    stay_id: str
    conference_id: str
    call_control_id: str | None
    call_leg_id: str | None
    call_session_id: str | None
    joined_at: datetime | None
    joined_at_source: str | None
    left_at: datetime | None
    left_at_source: str | None
    left_at_latest: datetime | None
    duration_ms: int | None
    floor_ms: int
    revision: int = 0
    origins: str = ""


@dataclass(frozen=True)
class Conference:
    """A row of `conferences`."""

    conference_id: str
    name: str | None
    region: str | None
    connection_id: str | None
    call_session_id: str | None
    created_at: datetime | None
    created_at_source: str | None
    ended_at: datetime | None
    ended_at_source: str | None
    ended_at_latest: datetime | None
    duration_ms: int | None
    status: str
    end_reason: str | None
    end_reason_source: str | None
    ended_by: str | None
    participants: int
    unique_participants: int
    peak_participants: int
    participant_ms: int
    floor_changes: int
    recordings: int
    revision: int = 0
    origins: str = ""


@dataclass(frozen=True)
class Leg:
    """A row of `calls`."""

    call_leg_id: str | None
    call_control_id: str | None
    call_session_id: str | None
    connection_id: str | None
    direction: str | None
    from_number: str | None
    to_number: str | None
    initiated_at: datetime | None
    answered_at: datetime | None
    bridged_at: datetime | None
    ended_at: datetime | None
    status: str
    hangup_cause: str | None
    hangup_source: str | None
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
    revision: int = 0
    origins: str = ""


@dataclass(frozen=True)
class Recording:
    """A row of `recordings`."""

    recording_id: str
    kind: str
    conference_id: str | None
    call_control_id: str | None
    call_leg_id: str | None
    call_session_id: str | None
    connection_id: str | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    channels: str | None
    format: str | None
    source: str
    revision: int = 0
    origins: str = ""


@dataclass(frozen=True)
class Playback:
    """A row of `playbacks`."""

    playback_id: str
    kind: str
    scope: str
    conference_id: str | None
    call_control_id: str | None
    call_leg_id: str | None
    call_session_id: str | None
    connection_id: str | None
    media_url: str | None
    media_name: str | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    revision: int = 0
    origins: str = ""
