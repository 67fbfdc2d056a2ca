"""What a record of the log looks like in Kafka, and back again."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
from aiokafka import ConsumerRecord

from ingest.batch import ROWS_A_CHUNK, Batch, records
from ingest.kafka_topics import Layout, partition_number
from ingest.log import Origin, Record

_LONGEST_TEXT = 256
"""What is longer is no id that Telnyx gave out: it does not become a header, and only its digest becomes a key."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a record goes: all that one entity needs is in one partition, found by one key."""

    topic: str
    key: bytes | None
    event_id: str
    event_type: str


def address(record: Record, layout: Layout) -> Address:
    """Return where the record goes: by its conference, else its session, else its own id.

    What is kept as rejected, and what nobody can read, goes to a topic of its own; the processors, which read both,
    say why. Only ids are looked at here: what an event says is for the processors to find out.
    """
    event = None if record.rejection else _event(record.body)
    if event is None:
        return Address(layout.rejected, None, "", "")
    event_id, event_type = _text(event.get("id")), _text(event.get("event_type"))
    payload = event.get("payload")
    said = payload if isinstance(payload, dict) else {}
    by = _text(said.get("conference_id")) or _text(said.get("call_session_id")) or event_id
    return Address(layout.events, _key(by), _short(event_id), _short(event_type))


def headers(record: Record, to: Address) -> dict[str, str]:
    """Return the record's headers; `received_at` in Unix microseconds."""
    found = {
        "event_id": to.event_id,
        "event_type": to.event_type,
        "origin": record.origin.value,
        "received_at": str(record.received_us),
        "verified": "true" if record.verified else "false",
    }
    if record.rejection:
        found["rejection"] = record.rejection
    return found


def batch(found: Sequence[ConsumerRecord]) -> Batch:
    """Return those records, which are in the order of their offsets within each partition, as a batch.

    What came into the topic in another way than by holdtime has none of its headers: then nobody verified it, it is
    taken for a replay, and was received when Kafka says.
    """
    return Batch.joined([_chunk(found[start : start + ROWS_A_CHUNK]) for start in range(0, len(found), ROWS_A_CHUNK)])


def _chunk(found: Sequence[ConsumerRecord]) -> pa.RecordBatch:
    places = [(record.topic, record.partition) for record in found]
    numbers = {place: partition_number(*place) for place in set(places)}
    said = [dict(record.headers) for record in found]
    return records(
        [
            pa.array([numbers[place] for place in places], pa.int32()),
            pa.array([record.offset for record in found], pa.int64()),
            pa.array([_received_us(each, record) for each, record in zip(said, found, strict=True)], pa.int64()),
            pa.array([_text_of(each.get("origin")) or _REPLAY for each in said], pa.string()),
            pa.array([each.get("verified") == b"true" for each in said], pa.bool_()),
            pa.array([_text_of(each.get("rejection")) for each in said], pa.string()),
            pa.array([record.value or b"" for record in found], pa.binary()),
        ]
    )


def _text_of(value: bytes | None) -> str | None:
    return value.decode(errors="replace") if value else None


_REPLAY = Origin.REPLAY.value
_DIGITS = 16
"""Microseconds of so many digits end in the year 2286: later times that another program may say mean nothing."""

_LAST_US = 9_999_999_999_999_999


def _received_us(said: dict[str, bytes | None], record: ConsumerRecord) -> int:
    received = said.get("received_at") or b""
    if received.isdigit() and len(received) <= _DIGITS:
        return int(received)
    told_us = int(record.timestamp) * 1000
    return min(max(0, told_us), _LAST_US)


def _event(body: bytes) -> dict[str, Any] | None:
    """The event in any of Telnyx's envelopes, or None where there is none to be seen."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    event = document.get("data")
    if event is None and document.get("event_type") is None:
        metadata = document.get("metadata")
        event = metadata.get("event") if isinstance(metadata, dict) else None
        event = document.get("webhook") if event is None else event
    event = document if event is None else event
    return event if isinstance(event, dict) and _text(event.get("id")) and _text(event.get("event_type")) else None


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else ""


def _key(text: str) -> bytes:
    key = text.encode(errors="surrogatepass")
    return key if len(key) <= _LONGEST_TEXT else hashlib.sha256(key).hexdigest().encode()
