"""The fields that Telnyx documents for each thing that its lists hold, and where it holds them."""

import re

CONFERENCE = (
    *("id", "name", "record_type", "created_at", "expires_at", "updated_at", "status", "end_reason", "ended_by"),
    *("connection_id", "region"),
)
_FLAGS = ("muted", "on_hold", "end_conference_on_exit", "soft_end_conference_on_exit", "whisper_call_control_ids")
_PRESENT = ("id", "call_control_id", "call_leg_id", "created_at", "updated_at", "status", *_FLAGS)
QUEUE = (
    *("id", "name", "current_size", "max_size", "average_wait_time_secs", "created_at", "updated_at", "record_type"),
)
QUEUE_CALL = (
    *("call_control_id", "call_leg_id", "call_session_id", "connection_id", "enqueued_at", "from", "to", "is_alive"),
    *("queue_id", "queue_position", "wait_time_secs", "record_type"),
)

FIELDS: dict[str, tuple[str, ...]] = {
    "webhook_deliveries": ("id", "status", "started_at", "finished_at", "attempts", "user_id", "webhook"),
    "call_events": ("call_leg_id", "call_session_id", "event_timestamp", "metadata", "name", "type"),
    "detail_records?conference": (
        *("id", "name", "started_at", "ended_at", "expires_at", "call_sec", "participant_call_sec"),
        *("participant_count", "call_leg_id", "call_session_id", "connection_id", "region", "is_telnyx_billable"),
    ),
    "detail_records?conference-participant": (
        *("id", "conference_id", "joined_at", "left_at", "call_sec", "billed_sec", "call_leg_id", "call_session_id"),
        *("originating_number", "destination_number", "cost", "rate", "rate_measured_in", "currency"),
    ),
    "conferences": CONFERENCE,
    "conferences/{id}": CONFERENCE,
    "conferences/{id}/participants": (*_PRESENT, "conference", "record_type"),
    "conferences/{id}/participants/{participant}": (*_PRESENT, "conference_id", "label"),
    "queues": QUEUE,
    "queues/{name}": QUEUE,
    "queues/{name}/calls": QUEUE_CALL,
    "queues/{name}/calls/{call}": QUEUE_CALL,
    "recordings": (
        *("id", "conference_id", "source", "recording_started_at", "recording_ended_at", "duration_millis"),
        *("channels", "status", "initiated_by", "from", "to", "download_urls"),
    ),
}
"""By endpoint, as `endpoint` names it."""

SINGLE = frozenset(name for name in FIELDS if name.endswith("}"))

_PATHS = (
    (r"conferences/[^/]+/participants/[^/]+", "conferences/{id}/participants/{participant}"),
    (r"conferences/[^/]+/participants", "conferences/{id}/participants"),
    (r"conferences/[^/]+", "conferences/{id}"),
    (r"queues/.+/calls/.+", "queues/{name}/calls/{call}"),
    (r"queues/.+/calls", "queues/{name}/calls"),
    (r"queues/.+", "queues/{name}"),
)


def endpoint(path: str, record_type: str | None = None) -> str:
    """The endpoint of a path without the version; detail records are of two types."""
    if path == "detail_records":
        return f"{path}?{record_type}"
    return next((name for pattern, name in _PATHS if re.fullmatch(pattern, path)), path)
