"""Events found at Telnyx: an original body, or an observed state as our own event, whose id follows from the state."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eventlog.envelope import event_in

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

OURS = "reconciler."
"""The prefix of our own types of events: Telnyx never sends such an event, whatever a list says."""

_OF_CALLS = ("call.", "call_", "conference.", "conference_")
_IDS = ("call_control_id", "call_leg_id", "call_session_id", "conference_id")


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event to publish, unless it has landed. `at` is when it happened, as near as the body says."""

    event_id: str
    at: datetime
    body: bytes


def original(document: object, *, otherwise: datetime) -> FoundEvent | None:
    """The webhook's event in a document, as it was first sent; None where there is none. `otherwise`: its delivery.

    The lists are of the whole account: what is of no call and no conference (a text message, say) is none of ours.
    """
    event = event_in(event_in(document))  # the lists show an event as it was sent, with or without `data` around it
    if event is None:
        return None
    event_id, event_type = text(event, "id"), text(event, "event_type")
    if not event_id or not event_type or event_type.startswith(OURS):
        return None
    inner = event.get("payload")
    payload = inner if isinstance(inner, dict) else {}
    if not event_type.startswith(_OF_CALLS) and not any(text(payload, name) for name in _IDS):
        return None
    times = (
        instant(event, "occurred_at"),
        instant(payload, "occurred_at"),
        instant(event, "created_at"),
        instant(payload, "recording_ended_at"),
    )
    at = next((each for each in times if each is not None), otherwise)
    try:
        return FoundEvent(event_id, at, _written({"data": event}))
    except (ValueError, RecursionError):  # half a character, a number beyond all bounds, too deep: no JSON that lands
        return None


def observed(event_type: str, at: datetime, payload: Mapping[str, Any]) -> FoundEvent:
    """A state as an event. `at` follows from the state, never from the clock: the same state is the same event."""
    occurred_at = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    said = {"event_type": event_type, "occurred_at": occurred_at, "payload": payload}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    event_id = f"observed-{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"
    return FoundEvent(event_id, at, _written({"data": {"record_type": "event", "id": event_id, **said}}))


def text(item: Mapping[str, Any], name: str) -> str | None:
    """A text, or None where there is none or something else."""
    value = item.get(name)
    if not isinstance(value, str) or not value:
        return None
    return value if value.isascii() or value.encode(errors="ignore").decode() == value else None


def texts(item: Mapping[str, Any], *names: str) -> dict[str, str | None]:
    """Several texts by their names."""
    return {name: text(item, name) for name in names}


def whole(item: Mapping[str, Any], name: str) -> int | None:
    """A whole number, or None."""
    value = item.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def instant(item: Mapping[str, Any], name: str) -> datetime | None:
    """An instant, in UTC; None where there is none that can be believed. Without an offset it is UTC."""
    try:
        at = datetime.fromisoformat(item[name]) if isinstance(item.get(name), str) else None
        at = at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
        return at.astimezone(UTC) if at is not None and EARLIEST <= at < LATEST else None
    except (ValueError, OverflowError):
        return None


def _written(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
