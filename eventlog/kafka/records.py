"""A record of the log as Kafka holds it: its topic, its key and its headers."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import orjson

from eventlog.envelope import event_in
from eventlog.kafka.topics import Layout
from eventlog.log import Record

_LONGEST_TEXT = 256
"""The longest text that can be an id of Telnyx: a longer one becomes no header, and its digest becomes the key."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a record goes: all records of one entity have one key, and so one partition."""

    topic: str
    key: bytes | None
    event_id: str
    event_type: str


def address(record: Record, layout: Layout) -> Address:
    """Return where the record goes: by its conference, else its session, else its own id.

    Rejected and unreadable records go to a topic of their own; the processors read both topics, and find the reasons.
    Only ids are read here: the meaning of an event is the processors' to find.
    """
    event = None if record.rejection else _event(record.body)
    if event is None:
        return Address(layout.rejected, None, "", "")
    event_id, event_type = _text(event.get("id")), _text(event.get("event_type"))
    found = event.get("payload")
    payload = found if isinstance(found, dict) else {}
    by = _text(payload.get("conference_id")) or _text(payload.get("call_session_id")) or event_id
    return Address(layout.events, _key(by), _short(event_id), _short(event_type))


def headers(record: Record, to: Address) -> dict[str, str]:
    """Return the record's headers; `received_at` in Unix microseconds, `signature` and `timestamp` as they came."""
    found = {
        "event_id": to.event_id,
        "event_type": to.event_type,
        "origin": record.origin.value,
        "received_at": str(record.received_us),
        "verified": "true" if record.verified else "false",
    }
    if record.rejection:
        found["rejection"] = record.rejection
    if record.signature_headers is not None:
        found["signature"] = b64encode(record.signature_headers.signature).decode()
        found["timestamp"] = record.signature_headers.timestamp.decode()
    return found


def _event(body: bytes) -> dict[str, Any] | None:
    """Return the event in a body; None where there is none, or one without an id or a type."""
    try:
        event = event_in(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None
    return event if event and _text(event.get("id")) and _text(event.get("event_type")) else None


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else ""


def _key(text: str) -> bytes:
    key = text.encode(errors="surrogatepass")
    return key if len(key) <= _LONGEST_TEXT else hashlib.sha256(key).hexdigest().encode()
