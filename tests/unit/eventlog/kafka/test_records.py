"""Where a record goes in Kafka, and what it says there."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.kafka.records import address, headers
from eventlog.kafka.topics import (
    EVENTS_PARTITIONS,
    REJECTED_PARTITIONS,
    Layout,
    partition_number,
)
from eventlog.log import Record

LAYOUT = Layout()
EVENT = {"id": "e1", "event_type": "call.enqueued", "payload": {"call_session_id": "s1"}}


def addressed(document: object) -> tuple[str, bytes | None, str, str]:
    to = address(Record(json.dumps(document).encode(), 1), LAYOUT)
    return to.topic, to.key, to.event_id, to.event_type


@pytest.mark.parametrize(
    "document",
    [
        {"data": EVENT},
        EVENT,
        {"metadata": {"event": EVENT}},
        {"webhook": EVENT},
        {"data": EVENT, "meta": {"attempt": 2}},
    ],
)
def test_an_event_goes_by_its_session_whatever_envelope_it_is_in(document: object) -> None:
    assert addressed(document) == ("telnyx.events", b"s1", "e1", "call.enqueued")


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        ({"conference_id": "c1", "call_session_id": "s1"}, b"c1"),
        ({"conference_id": "", "call_session_id": "s1"}, b"s1"),
        ({"conference_id": 7}, b"e1"),
        ({}, b"e1"),
        (None, b"e1"),
        ("text", b"e1"),
    ],
)
def test_a_conference_comes_before_a_session_and_what_has_neither_goes_by_its_own_id(payload: Any, key: bytes) -> None:
    assert addressed({"data": {**EVENT, "payload": payload}})[1] == key


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[1]", b"null", b'{"data":3}', b'{"data":{"id":"","event_type":"x"}}', b"[" * 100_000]
)
def test_what_nobody_can_read_goes_apart(body: bytes) -> None:
    assert address(Record(body, 1), LAYOUT).topic == "telnyx.events.rejected"


def test_what_is_kept_as_rejected_goes_apart_with_its_reason() -> None:
    record = Record(json.dumps({"data": EVENT}).encode(), 1, rejection="stale")
    to = address(record, LAYOUT)
    assert to.topic == "telnyx.events.rejected"
    assert headers(record, to)["rejection"] == "stale"


def test_an_id_that_is_no_id_becomes_neither_a_header_nor_a_long_key() -> None:
    _, key, event_id, event_type = addressed(
        {"data": {"id": "x" * 1_000_000, "event_type": "y" * 1_000, "payload": {"call_session_id": "z" * 1_000}}}
    )
    assert (event_id, event_type) == ("", "")
    assert key is not None
    assert len(key) == 64


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda of: st.lists(of) | st.dictionaries(st.text(), of)
    )
)
def test_no_body_is_too_strange_to_be_addressed(document: object) -> None:
    assert address(Record(json.dumps(document).encode(), 1), LAYOUT).topic.startswith("telnyx.events")


@pytest.mark.parametrize("number", [EVENTS_PARTITIONS, EVENTS_PARTITIONS + 11, REJECTED_PARTITIONS])
def test_a_partitions_number_stands_for_it_alone(number: int) -> None:
    assert partition_number(*Layout(prefix="mine.").topic_and_partition(number)) == number
